"""A search over architectures and defences for several goals at once."""
