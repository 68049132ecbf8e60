"""RobustQ."""
