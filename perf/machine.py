"""Where and with what the figures were taken."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from robustq.engine import native

DISTRIBUTIONS = (
    "torch",
    "numpy",
    "pennylane",
    "pennylane-lightning",
    "jax",
    "jaxlib",
    "tensorcircuit-ng",
    "qulacs",
    "qiskit",
    "qiskit-aer",
)


def machine(distributions: Sequence[str] = DISTRIBUTIONS) -> dict[str, Any]:
    """Versions, processor, threads, date; plain JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "engine": native.description(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {"robustq": _version("robustq") or "from source"}
        | {name: _version(name) for name in distributions},
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
