"""Exact sums of floats, and the moments that follow from them.

A float64 is a whole number times a power of two, so a sum of floats, and of their squares, cubes
and products, is a whole number times a power of two as well. Here these are kept to the last bit,
in fixed point: every order, split and batching of the values gives the same state, states can be
merged and subtracted, and the answers are the true values, rounded once at the very end.

The limbs of a number are digits in base 2**32, kept in int64 so that carries can wait for many
additions. Only the limbs in use are held: some four for a sum of ordinary values, eight for
squares, and at most 66 per power. -0.0 counts as zero: the sum of nothing but -0.0 is 0.0.

References
----------
Neal, "Fast exact summation using small and large superaccumulators", arXiv:1505.05571, 2015.
Demmel and Hida, "Accurate and efficient floating point summation", SIAM J. Sci. Comput., 2003.
Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput., 2005.
"""

from motherlode.algebra.exact.gram import ExactGram
from motherlode.algebra.exact.sums import ExactSums

__all__ = ["ExactGram", "ExactSums"]
