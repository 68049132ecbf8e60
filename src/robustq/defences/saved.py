"""Saved models, guards included: the files of :mod:`robustq.models.files` with more kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from robustq.defences.detection.catalogue import KINDS as DETECTORS
from robustq.defences.detection.rejection import Rejecting
from robustq.defences.encoding.approximation import ApproximateEncoder
from robustq.defences.encoding.randomisation import Keyed, Redrawn
from robustq.defences.encoding.smooth_step import SmoothStep
from robustq.defences.encoding.trainable import Affine
from robustq.defences.filters.clipping import Clip
from robustq.defences.filters.projection import Project
from robustq.defences.filters.quantise import Quantise
from robustq.defences.filters.smoothing import Smooth
from robustq.defences.front import Fronted
from robustq.defences.noise.noisy import Noisy
from robustq.defences.noise.normalisation import Normalised
from robustq.defences.noise.random_inputs import GaussianNoise, RandomlyFronted
from robustq.errors import ModelFileError
from robustq.models import files
from robustq.models.files import Rebuild
from robustq.uncertainty.members import Members
from robustq.uncertainty.scaling import Scaled

# What holds parts that are described themselves.
NESTED: Mapping[str, Callable[..., nn.Module]] = {
    "fronted": Fronted.from_config,
    "rejecting": Rejecting.from_config,
    "keyed": Keyed.from_config,
    "members": Members.from_config,
    "noisy": Noisy.from_config,
    "normalised": Normalised.from_config,
    "randomly-fronted": RandomlyFronted.from_config,
    "redrawn": Redrawn.from_config,
    "scaled": Scaled.from_config,
}
PLAIN: Mapping[str, Rebuild] = {
    **files.KINDS,
    "quantise": Quantise.from_config,
    "approximate-encoder": ApproximateEncoder.from_config,
    "clip": Clip.from_config,
    "project": Project.from_config,
    "smooth": Smooth.from_config,
    **{detector.kind: detector.from_config for detector in DETECTORS},
    "affine-front": Affine.from_config,
    "gaussian-noise": GaussianNoise.from_config,
    "smooth-step": SmoothStep.from_config,
}


def kinds_with(outsiders: Mapping[str, Rebuild]) -> Mapping[str, Rebuild]:
    """Every kind of model, and of part of one, with those from outside the library."""

    def rebuild(described: Mapping[str, Any]) -> nn.Module:
        kind = described["kind"]
        if kind not in kinds:
            raise ModelFileError(f"expected a kind of {', '.join(kinds)}, got {kind!r}")
        return kinds[kind](described["config"])

    nested = {kind: partial(make, rebuild=rebuild) for kind, make in NESTED.items()}
    kinds: Mapping[str, Rebuild] = {**outsiders, **PLAIN, **nested}
    return kinds


KINDS = kinds_with({})


def save(model: nn.Module, folder: Path | str, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model, guarded or not, into ``folder``; see :func:`robustq.models.files.save`."""
    files.save(model, folder, metadata=metadata, kinds=KINDS)


def load(folder: Path | str, *, allow: Collection[str] = ()) -> nn.Module:
    """The model saved in ``folder``, guards included; see :func:`robustq.models.files.load`."""
    return files.load(folder, kinds=kinds_with(files.outsiders(folder, allow)), allow=allow)


def metadata(folder: Path | str) -> dict[str, Any]:
    """What was saved beside a model."""
    saved: dict[str, Any] = files.read_json(folder, kinds=KINDS)["metadata"]
    return saved
