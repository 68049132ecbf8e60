"""Attacks that look for the nearest input of another class, and what they share."""
