"""Output paths, checked before the work whose result they shall hold."""

from __future__ import annotations

import os
from pathlib import Path

from robustq.errors import RunError


def check_writable(path: Path, *, folder: bool = True) -> None:
    """Refuse a path that could not be created as a folder (or a file), without creating anything."""
    if path.exists() and path.is_dir() != folder:
        wanted, found = ("folder", "file") if folder else ("file", "folder")
        raise RunError(f"expected a {wanted} to write, but {path} is a {found}")
    parent = path.absolute().parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(f"expected a place that can be written for {path}, but {parent} is none")
