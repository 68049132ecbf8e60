"""Noise in training and noise as a defence: learnt through, injected, or kept at inference."""
