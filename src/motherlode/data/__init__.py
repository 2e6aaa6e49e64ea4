"""The data plane: sources cut into splits, read as batches, with every record accounted for."""
