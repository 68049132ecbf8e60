"""A worker that dies without a word; a module of its own so that a spawned process can import it."""

import os


def die(*arguments):
    os._exit(9)
