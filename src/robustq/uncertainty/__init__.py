"""What a model does not know: distributions over models, and sets that cover the truth."""
