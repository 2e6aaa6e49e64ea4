"""Published kits for your own algorithms and engines: laws, small data, faults, an engine suite."""
