"""One model under every defence, attacked by who knows it."""
