"""Mining algorithms by family; each is one file, found by its name."""
