"""Files as a source: where they are, how they are cut into pieces, and what formats share."""
