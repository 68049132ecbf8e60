"""``robustq doctor``: what this installation has, and what it falls back to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from robustq.cli.console import out, print_json
from robustq.data.files import VARIABLE
from robustq.engine import native

NEEDED = ("robustq", "torch", "numpy", "scipy", "scikit-learn", "safetensors", "plotly")
OPTIONAL = ("pennylane", "qiskit", "adversarial-robustness-toolbox", "ray")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Show versions, the engine in use, threads, GPU and the data folder."""
    found = findings()
    if as_json:
        print_json(found)
        return
    out().print("\n".join(f"{name:<34} {value}" for name, value in found.items()))


def findings() -> dict[str, Any]:
    """Everything the command prints, by name."""
    folder = os.environ.get(VARIABLE)
    there = "not set: only bundled data and downloads"
    if folder:
        there = folder if Path(folder).is_dir() else f"{folder} (no such folder)"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in NEEDED},
        "engine": native.description(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        VARIABLE: there,
        **{f"{name} (optional)": _version(name) for name in OPTIONAL},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
