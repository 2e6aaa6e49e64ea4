"""Mergeable summaries: the contract, its combinators, the state codec and exact arithmetic."""
