"""MapReduce: jobs of mappers, combiners and reducers, run by the same driver as all mining."""

from motherlode.mapreduce.job import MRJob
from motherlode.mapreduce.simple import map_reduce
from motherlode.mapreduce.step import MRStep

__all__ = ["MRJob", "MRStep", "map_reduce"]
