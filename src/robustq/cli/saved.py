"""A saved model with the test data it was trained for.

A model's file runs no code: what it or its specification names from outside the library is refused, unless the
environment's ``ROBUSTQ_ALLOW`` names its package, as in ``ROBUSTQ_ALLOW=lab,other robustq attack ...``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from robustq import bench
from robustq.bench.outside import outsiders
from robustq.cli.specification import with_device
from robustq.data import Dataset
from robustq.defences import saved as files
from robustq.errors import SpecError
from robustq.noise import Device
from robustq.outsiders import is_allowed, package_of


@dataclass(frozen=True, eq=False)
class Saved:
    """What ``robustq train`` left in a folder.

    Attributes:
        model: the trained model.
        spec: what it was trained by.
        data: what it was trained for.
        device: the one it is to run on, if the command names one.
    """

    model: torch.nn.Module
    spec: bench.Spec
    data: Dataset
    device: Device | None

    @property
    def test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Test inputs ``(rows, features)`` and their labels."""
        return self.data.tensors("test")


def saved(folder: Path, device: str | None = None) -> Saved:
    """The model of ``folder``; its specification may be given another device.

    Raises:
        SpecError: if the folder is that of a run, or its model has no data specification.
    """
    if not (folder / "model.json").exists() and (folder / "model" / "model.json").exists():
        raise SpecError(f"expected a model folder, got a run folder: try {folder / 'model'}")
    metadata = files.metadata(folder)
    if "spec" not in metadata:
        raise SpecError(f"{folder}: expected a model saved by robustq, with its data specification")
    allow = [name for name in os.environ.get("ROBUSTQ_ALLOW", "").split(",") if name]
    for name in outsiders(metadata["spec"]):
        if not is_allowed(name, allow):
            raise SpecError(
                f"{folder}: expected a model of the library alone, got one made with {name}, whose "
                f"code would be run: if you trust it, set ROBUSTQ_ALLOW={package_of(name)}"
            )
    spec = bench.parse(with_device(metadata["spec"], device))
    return Saved(
        files.load(folder, allow=allow), spec, spec.dataset(), None if device is None else spec.noise.calibrated()
    )
