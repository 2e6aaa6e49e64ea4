"""File formats, one a file; found through the entry-point group ``motherlode.formats``."""
