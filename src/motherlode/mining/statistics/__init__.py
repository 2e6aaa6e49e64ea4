"""Statistics of columns: counts, moments, distributions, and how columns vary together."""
