"""What to do about a suspicious input: accept, recompute, abstain, raise the alarm; and learn from it."""
