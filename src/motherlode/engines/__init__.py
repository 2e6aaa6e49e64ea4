"""Engines: where splits are folded. Each is one file, found by its entry point."""
