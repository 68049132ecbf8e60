"""Filters in front of a model: what they take out of an input, an adversary cannot use."""
