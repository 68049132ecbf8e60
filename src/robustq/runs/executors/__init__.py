"""Ways to start workers. All of them pull from the store, so they may be mixed, come late and die."""
