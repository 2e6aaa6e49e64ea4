"""Patterns: what occurs together, and what follows what."""
