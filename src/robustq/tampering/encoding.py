"""Features that reach the encoder otherwise than in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from robustq.contracts import CircuitClassifier
from robustq.errors import ThreatError
from robustq.tampering.surface import Surface, surface
from robustq.threats import Knobs, Switches


@dataclass(frozen=True)
class EncodingMismatch:
    """What reaches the encoder is scaled by ``1 + a`` and shifted by ``b``, a pair for each feature.

    A wrong unit, offset or normalisation in the pipeline, the same for every input. Settings are shares
    of what is allowed, in [-1, 1]. Related: LaRose & Coyle (PRA 102, 2020), on encodings under noise.

    Args:
        scale: largest ``|a|``.
        shift: largest ``|b|``, in units of the feature.
        at_most: how many of these numbers may differ from zero; None for all.

    >>> EncodingMismatch(0.1, 0.0).threat(None).eps
    1.0
    """

    scale: float = 0.1
    shift: float = 0.05
    at_most: int | None = None

    def __post_init__(self) -> None:
        for name in ("scale", "shift"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ThreatError(f"encoding: expected {name} >= 0, got {getattr(self, name)}")
        self.threat(None)

    def threat(self, model: CircuitClassifier | None) -> Knobs:
        """Two knobs a feature."""
        return Knobs(1.0, at_most=self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model at scaled and shifted features."""
        features, angles = model.encoder_inputs(x).detach(), model.angles.detach()

        def logits(settings: Tensor) -> Tensor:
            a, b = settings.chunk(2)
            moved = features * (1 + self.scale * a) + self.shift * b
            return model.read(model.measured(moved, angles))

        names = [f"{what} of feature {k}" for what in ("scale", "shift") for k in range(features.shape[1])]
        return surface(names, features, logits)


@dataclass(frozen=True)
class FeatureSwap:
    """At most ``at_most`` pairs of features are exchanged on their way to the encoder.

    Where a feature has a qubit of its own this is a wrong order of qubits. Swaps are done in the order
    of the pairs. Related: the encoder attacks of QTrojan (Chu et al., ICASSP 2023).

    Args:
        at_most: how many pairs are exchanged.

    >>> FeatureSwap(2).threat(None).at_most
    2
    """

    at_most: int = 1

    def __post_init__(self) -> None:
        self.threat(None)

    def threat(self, model: CircuitClassifier | None) -> Switches:
        """One switch a pair."""
        return Switches(self.at_most)

    def open(self, model: CircuitClassifier, x: Tensor) -> Surface:
        """The model at features in another order."""
        features, angles = model.encoder_inputs(x).detach(), model.angles.detach()
        pairs = list(combinations(range(features.shape[1]), 2))
        if not pairs:
            raise ThreatError("feature swap: expected at least 2 features, got 1")

        def logits(settings: Tensor) -> Tensor:
            order = list(range(features.shape[1]))
            for k in (settings > 0.5).nonzero()[:, 0].tolist():
                i, j = pairs[k]
                order[i], order[j] = order[j], order[i]
            with torch.no_grad():
                return model.read(model.measured(features[:, order].contiguous(), angles))

        return surface([f"features {i} and {j} swapped" for i, j in pairs], features, logits)
