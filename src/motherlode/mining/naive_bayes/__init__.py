"""Naive Bayes classifiers: counts of what each class looks like."""
