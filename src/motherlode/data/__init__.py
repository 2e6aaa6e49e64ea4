"""The data plane: sources cut into splits, read as batches, with every record accounted for."""

from motherlode.data.accept import dataset
from motherlode.data.dataset import Dataset

__all__ = ["Dataset", "dataset"]
