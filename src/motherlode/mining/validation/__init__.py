"""How well a learner does on rows that it has not seen."""
