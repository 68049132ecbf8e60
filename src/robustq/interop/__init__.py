"""Bridges to other libraries; each imports the other side only where it is used."""
