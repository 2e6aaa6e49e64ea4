"""Jobs: what to run, what ran, and how it is resumed, written and shown."""
