"""Losses: what a training step minimises, so that the model it leaves is safer."""
