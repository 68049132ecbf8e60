"""A state may move by so much: balls of pure states, and of unit vectors of real amplitudes.

States are real tensors ``(batch, dimension, 2)``, real and imaginary parts last, so that every
attack on real tensors works on them. A mixed adversarial state cannot do better than a pure one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robustq.errors import ThreatError
from robustq.threats.ball import column, unit_noise
from robustq.threats.l2 import direction_of, length_of

SLACK = 64  # roundings of a unit vector


@dataclass(frozen=True)
class Fidelity:
    """States of infidelity ``1 - |<psi|phi>|**2`` at most ``eps`` to the original.

    >>> psi = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    >>> phi = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])
    >>> Fidelity(0.25).distance(Fidelity(0.25).project(phi, psi), psi)
    tensor([0.2500])
    """

    eps: float
    box: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check_share(self.eps)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest allowed state, on the arc from the original; a global phase is dropped."""
        return _on_arc(_in_phase(direction_of(candidate), x), x, math.asin(math.sqrt(self.eps)))

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random direction, and a random way towards it."""
        return _drawn(self, x, generator, math.asin(math.sqrt(self.eps)))

    def steepest(self, gradient: Tensor) -> Tensor:
        """Along the gradient, so long that ``eps`` of it spans the set."""
        return direction_of(gradient) * (math.asin(math.sqrt(self.eps)) / max(self.eps, 1e-300))

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The infidelity, ``(batch,)``."""
        # from the part across x, not as 1 - F, which would lose half of the digits
        across = _in_phase(candidate, x)
        across = across - column((across * x).flatten(1).sum(1), x) * x
        return (length_of(across) / length_of(candidate)) ** 2

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is a unit vector near enough."""
        slack = SLACK * torch.finfo(x.dtype).eps
        return (self.distance(candidate, x) <= self.eps + slack) & _is_unit(candidate)

    def __str__(self) -> str:
        return f"state infidelity eps={self.eps:g}"


@dataclass(frozen=True)
class TraceDistance:
    """States at trace distance ``sqrt(1 - |<psi|phi>|**2)`` at most ``eps`` from the original.

    >>> str(TraceDistance(0.1))
    'state trace distance eps=0.1'
    """

    eps: float
    box: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check_share(self.eps)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest allowed state."""
        return Fidelity(self.eps**2).project(candidate, x)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random direction, and a random way towards it."""
        return Fidelity(self.eps**2).sample(x, generator)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Along the gradient, so long that ``eps`` of it spans the set."""
        return direction_of(gradient) * (math.asin(self.eps) / max(self.eps, 1e-300))

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The trace distance, ``(batch,)``."""
        return Fidelity(self.eps**2).distance(candidate, x).sqrt()

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is a unit vector near enough."""
        slack = SLACK * torch.finfo(x.dtype).eps
        return (self.distance(candidate, x) <= self.eps + slack) & _is_unit(candidate)

    def __str__(self) -> str:
        return f"state trace distance eps={self.eps:g}"


@dataclass(frozen=True)
class Sphere:
    """Real unit vectors (amplitude encoding) at a Euclidean distance of at most ``eps``.

    >>> Sphere(0.1).contains(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([False])
    """

    eps: float
    box: ClassVar[None] = None

    def __post_init__(self) -> None:
        if not 0 <= self.eps <= 2:
            raise ThreatError(f"sphere: expected eps in [0, 2], got {self.eps}")

    @property
    def _angle(self) -> float:
        return 2 * math.asin(self.eps / 2)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest allowed vector, on the arc from the original."""
        return _on_arc(direction_of(candidate), x, self._angle)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A random direction, and a random way towards it."""
        return _drawn(self, x, generator, self._angle)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Along the gradient, so long that ``eps`` of it spans the set."""
        return direction_of(gradient) * (self._angle / max(self.eps, 1e-300))

    def distance(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Euclidean distance, ``(batch,)``."""
        return length_of(candidate - x)

    def contains(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Whether each candidate is a unit vector near enough."""
        slack = SLACK * torch.finfo(x.dtype).eps
        return (self.distance(candidate, x) <= self.eps + slack) & _is_unit(candidate)

    def __str__(self) -> str:
        return f"unit sphere eps={self.eps:g}"


def _check_share(eps: float) -> None:
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 <= eps <= 1:
        raise ThreatError(f"expected eps as a number in [0, 1], got {eps!r}")


def _is_unit(vectors: Tensor) -> Tensor:
    return (length_of(vectors) - 1).abs() <= SLACK * torch.finfo(vectors.dtype).eps


def _in_phase(states: Tensor, x: Tensor) -> Tensor:
    """``states`` times the global phase that makes their overlap with ``x`` real and positive."""
    states, original = (torch.view_as_complex(s.contiguous()) for s in (states, x))
    overlap = (states.conj() * original).sum(1)
    tiny = torch.finfo(x.dtype).tiny
    phase = torch.where(overlap.abs() > tiny, overlap / overlap.abs().clamp_min(tiny), 1)
    return torch.view_as_real(states * phase[:, None])


def _on_arc(unit: Tensor, x: Tensor, angle: float) -> Tensor:
    """Where the arc from ``x`` to ``unit`` ends, or where it has turned by ``angle``, if sooner."""
    along = column((unit * x).flatten(1).sum(1), x)
    across = unit - along * x
    # atan2, because arccos of an overlap near one loses half of the digits
    turned = torch.atan2(length_of(across), along.flatten())
    turn = column(turned.clamp(max=angle), x)
    return direction_of(turn.cos() * x + turn.sin() * direction_of(across))


def _drawn(threat: Fidelity | Sphere, x: Tensor, generator: torch.Generator, angle: float) -> Tensor:
    noise = direction_of(unit_noise(x, generator))
    share = torch.rand(len(x), generator=generator, dtype=x.dtype).to(x.device)
    return threat.project(x + column(share, x) * math.tan(min(angle, 1.5)) * noise, x)
