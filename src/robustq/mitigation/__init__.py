"""Mitigation of hardware noise: what makes a noisy expectation better, and what it costs."""
