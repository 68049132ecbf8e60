"""What a result was computed with: versions, the kernel's variant, and the very code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from robustq.engine import native
from robustq.runs.unit import canonical, hashed


@cache
def versions() -> dict[str, str]:
    """The versions that a record names.

    >>> sorted(versions())
    ['engine', 'numpy', 'python', 'robustq', 'scikit-learn', 'scipy', 'torch']
    """
    names = ("robustq", "torch", "numpy", "scipy", "scikit-learn")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "engine": native.description(),
    }


@cache
def code_version() -> str:
    """SHA-256 of every Python file of the package, 16 hex digits: an edited copy is another version."""
    root = Path(__file__).parent.parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def environment() -> str:
    """All that decides a unit's bytes beside its arguments, as one short text, part of every unit's id.

    Units of another environment are not done here: their bytes might differ.
    """
    return f"{code_version()}-{hashed(canonical(versions()))[:8]}"
