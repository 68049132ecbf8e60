"""Saved models, guards included: the files of :mod:`robustq.models.files` with more kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from robustq.defences.detection.catalogue import KINDS as DETECTORS
from robustq.defences.detection.rejecting import Rejecting
from robustq.defences.encoding.approximate import ApproximateEncoder
from robustq.defences.encoding.randomised import Keyed, Redrawn
from robustq.defences.encoding.smoothed import SmoothStep
from robustq.defences.encoding.trainable import Affine
from robustq.defences.filters.clipping import Clip
from robustq.defences.filters.projection import Project
from robustq.defences.filters.quantise import Quantise
from robustq.defences.filters.smoothing import Smooth
from robustq.defences.fronted import Fronted
from robustq.defences.noise.noisy import Noisy
from robustq.defences.noise.normalised import Normalised
from robustq.defences.noise.random_inputs import GaussianNoise, RandomlyFronted
from robustq.errors import ModelFileError
from robustq.models import files
from robustq.models.files import Rebuild
from robustq.uncertainty.members import Members
from robustq.uncertainty.scaling import Scaled


def rebuild(described: Mapping[str, Any]) -> nn.Module:
    """A model or a part of one from its kind and configuration, its weights still to be loaded."""
    kind = described["kind"]
    if kind not in KINDS:
        raise ModelFileError(f"expected a kind of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](described["config"])


def _nested(make: Callable[..., nn.Module]) -> Rebuild:
    """For what holds parts that are described themselves."""
    return partial(make, rebuild=rebuild)


KINDS: Mapping[str, Rebuild] = {
    **files.KINDS,
    "fronted": _nested(Fronted.from_config),
    "quantise": Quantise.from_config,
    "approximate-encoder": ApproximateEncoder.from_config,
    "clip": Clip.from_config,
    "project": Project.from_config,
    "smooth": Smooth.from_config,
    "rejecting": _nested(Rejecting.from_config),
    **{detector.kind: detector.from_config for detector in DETECTORS},
    "affine-front": Affine.from_config,
    "gaussian-noise": GaussianNoise.from_config,
    "keyed": _nested(Keyed.from_config),
    "members": _nested(Members.from_config),
    "noisy": _nested(Noisy.from_config),
    "normalised": _nested(Normalised.from_config),
    "randomly-fronted": _nested(RandomlyFronted.from_config),
    "smooth-step": SmoothStep.from_config,
    "redrawn": _nested(Redrawn.from_config),
    "scaled": _nested(Scaled.from_config),
}


def save(model: nn.Module, folder: Path | str, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model, guarded or not, into ``folder``; see :func:`robustq.models.files.save`."""
    files.save(model, folder, metadata=metadata, kinds=KINDS)


def load(folder: Path | str) -> nn.Module:
    """The model saved in ``folder``, guards included; see :func:`robustq.models.files.load`."""
    return files.load(folder, kinds=KINDS)


def metadata(folder: Path | str) -> dict[str, Any]:
    """What was saved beside a model."""
    found: dict[str, Any] = files.read_json(folder, kinds=KINDS)["metadata"]
    return found
