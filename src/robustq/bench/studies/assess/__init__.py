"""One model, its defended twin and its classical baselines: attacked, disturbed, certified, audited."""
