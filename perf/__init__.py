"""Measurements beside other libraries: ratios in one run, never absolute claims."""
