"""Mining of text: the words in it, and what they say."""
