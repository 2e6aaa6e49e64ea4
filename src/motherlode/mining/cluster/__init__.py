"""Cluster analysis: rows put into groups of their like."""
