"""Studies: published experiments, run again with the library's parts."""
