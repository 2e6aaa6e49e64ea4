"""Errors, settings, events, plugins, parameters and the batch: what every layer speaks."""
