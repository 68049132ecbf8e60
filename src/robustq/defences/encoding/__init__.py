"""Encodings that an adversary finds harder to use: coded, secret, random or trained."""
