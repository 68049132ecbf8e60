"""Detectors: scores that say how suspicious an input looks, and the model that refuses where they are high."""
