"""One class for every posterior: a model and several vectors of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from robustq.contracts import Classifier, Predictive, QuantumClassifier, ShotClassifier
from robustq.errors import ModelError
from robustq.models.files import describe
from robustq.noise import Noise
from robustq.uncertainty.panel import Panel, ShotPanel, Tangent, mixture
from robustq.uncertainty.vectors import STEP, at, vector_of

Run = Callable[[nn.Module], Classifier]  # how a member is run


class Members(nn.Module):
    """A classifier that is many; implements :class:`robustq.contracts.Predictive`.

    Args:
        base: the model whose parameters vary; holds their mean where members are linearised.
        vectors: parameters of each member ``(members, P)``, in the order of ``base.parameters()``.
        linearised: whether a member is the model at its vector, or the model's tangent there: logits
            ``f(x; m) + J(x) (theta - m)``, the predictive that belongs to a Laplace posterior with the
            generalised Gauss-Newton matrix (Immer, Korzepa & Bauer, AISTATS 2021).

    Raises:
        ModelError: if the vectors do not fit the model, or are not finite.

    >>> model = Members(nn.Linear(2, 3), torch.randn(5, 9, generator=torch.Generator()))
    >>> model(torch.zeros(4, 2)).shape, model.members(torch.zeros(4, 2)).shape
    (torch.Size([4, 3]), torch.Size([5, 4, 3]))
    """

    kind = "members"
    vectors: Tensor

    def __init__(self, base: nn.Module, vectors: Tensor, *, linearised: bool = False) -> None:
        super().__init__()
        width = len(vector_of(base))
        if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != width:
            raise ModelError(f"expected vectors (members, {width}), got {tuple(vectors.shape)}")
        if not bool(torch.isfinite(vectors).all()):
            raise ModelError("expected finite parameters, got NaN or infinity")
        self.base, self.linearised = base, linearised
        self.register_buffer("vectors", vectors.detach().clone())

    @classmethod
    def of(cls, models: Sequence[nn.Module]) -> Members:
        """Models of one kind that differ in their parameters only.

        Raises:
            ModelError: if they differ otherwise, in their circuits or running statistics, say.

        >>> len(Members.of([nn.Linear(2, 2), nn.Linear(2, 2)]))
        2
        """
        for model in models[1:]:
            _check_alike(models[0], model)
        return cls(models[0], torch.stack([vector_of(model) for model in models]))

    def __len__(self) -> int:
        return len(self.vectors)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of the mean probabilities of the members."""
        return mixture(self.members(x))

    def members(self, x: Tensor) -> Tensor:
        """Logits of every member, ``(members, batch, classes)``."""
        return self._run(lambda model: model).members(x)

    def freeze(self, noise: Noise | None = None, *, uses: int | None = None) -> Predictive:
        """The same with every member frozen, where it can be: exact, and much faster to ask often.

        Raises:
            ModelError: if there is noise and the model has no circuit for it.
        """
        if not isinstance(self.base, QuantumClassifier):
            _check_classical(self.base, noise)
            return self._run(lambda model: model)

        def frozen(model: Any) -> Classifier:
            still: Classifier = model.freeze(noise, uses=uses)
            return still

        return self._run(frozen)

    def under(
        self, noise: Noise | None = None, *, shots: int | None = None, generator: torch.Generator | None = None
    ) -> Predictive:
        """The same with every member run on a noisy device, each with these shots.

        Raises:
            ModelError: if the model has no circuit, or is linearised and shots are finite: no device
                runs a tangent, and a difference of two answers a small step apart is all shot noise.
        """
        if not isinstance(self.base, QuantumClassifier):
            _check_classical(self.base, noise if shots is None else shots)
        if shots is not None and self.linearised:
            raise ModelError(
                "expected members that a device can run, got linearised ones; fit with "
                "linearised=False, or leave shots=None"
            )

        def device(model: Any) -> Classifier:
            run: Classifier = model.under(noise, shots=shots, generator=generator)
            return run

        return self._run(device)

    def _run(self, run: Run) -> Panel | Tangent:
        if self.linearised:
            return self._tangent(run)
        models = tuple(run(at(self.base, vector)) for vector in self.vectors)
        return (ShotPanel if isinstance(models[0], ShotClassifier) else Panel)(models)

    def _tangent(self, run: Run) -> Tangent:
        mean = vector_of(self.base).double()
        apart = self.vectors.double() - mean
        lengths = apart.norm(dim=1)
        # a step of one length in every direction, in float64: its error does not depend on how far members are
        shifts = STEP * apart / lengths.clamp(min=torch.finfo(apart.dtype).tiny)[:, None]
        ahead, behind = (
            Panel(tuple(run(at(self.base, mean + sign * shift)) for shift in shifts)) for sign in (1, -1)
        )
        return Tangent(run(at(self.base, mean)), ahead, behind, lengths / (2 * STEP))

    def config(self) -> dict[str, Any]:
        """What :meth:`from_config` needs to rebuild it, JSON-able."""
        return {"base": describe(self.base), "members": len(self), "linearised": self.linearised}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], rebuild: Callable[[Mapping[str, Any]], nn.Module]) -> Members:
        """The inverse of :meth:`config`; ``rebuild`` makes a part from its description."""
        base = rebuild(config["base"])
        empty = torch.zeros(int(config["members"]), len(vector_of(base)))
        return cls(base, empty, linearised=bool(config["linearised"]))


def _check_classical(base: nn.Module, device: Any) -> None:
    if device is not None:
        raise ModelError(f"expected a quantum model for a device, got {type(base).__name__}")


def _check_alike(one: nn.Module, other: nn.Module) -> None:
    """Refuse what a vector of parameters does not tell apart."""
    same = type(one) is type(other)
    if same and isinstance(getattr(one, "kind", None), str):
        same = describe(one) == describe(other)
    theirs = dict(other.named_buffers())
    buffers = one.named_buffers()
    if not same or any(not torch.equal(b, theirs[name]) for name, b in buffers):
        raise ModelError(
            "expected members that differ in their parameters only, got different circuits, secrets or "
            f"statistics in two of {type(one).__name__}"
        )
