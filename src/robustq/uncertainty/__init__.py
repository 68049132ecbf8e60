"""How far the answers of a model can be believed."""
