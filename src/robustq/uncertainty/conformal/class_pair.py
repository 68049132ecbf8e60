"""Two classes of a frozen model, one of them lowered, as a classifier that certificates can speak about.

``f_j - tau`` is a read-out like any other: ``M_j - tau 1`` of a state, the constant of a polynomial. So whether
``f_j - f_k > tau`` holds all over a ball is the question whether this classifier's answer can be changed there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from robustq.contracts import AmplitudeClassifier, Classifier, FrozenClassifier, GateAngles, StateClassifier
from robustq.errors import ModelError
from robustq.states import StateView
from robustq.trigonometric import UNIT, Trigonometric


def versus(model: Classifier, first: int, second: int, tau: float) -> Classifier:
    """The classifier with logits ``(f_first, f_second - tau)``, with whatever proofs need of the model.

    Args:
        model: a frozen model, a frozen hybrid, a :class:`robustq.states.StateView`, or any classifier.
        first: one of its classes.
        second: another, from whose logit ``tau`` is taken.
        tau: in logits, of any sign.

    >>> view = versus(lambda x: torch.cat([x, 2 * x, 3 * x], 1), 0, 2, 1.0)
    >>> view(torch.tensor([[1.0]])).tolist()
    [[1.0, 2.0]]
    """
    if isinstance(model, StateView):
        frozen: Any = versus(model.frozen, first, second, tau)  # type: ignore[arg-type]
        return replace(model, frozen=frozen)
    squashed = isinstance(model, FrozenClassifier) and model.front is not None
    return (ClassPair if squashed else Versus)(model, first, second, tau)


@dataclass(frozen=True, eq=False)
class ClassPair:
    """A model and the two of its classes that are looked at; see :func:`versus`.

    Implements :class:`robustq.contracts.FrozenClassifier` as far as the model does; ModelError beyond.
    """

    base: Any
    first: int
    second: int
    tau: float

    def __call__(self, x: Tensor) -> Tensor:
        """Logits ``(batch, 2)``."""
        return self._of(self.base(x))

    def states(self, x: Tensor) -> Tensor:
        """The model's own; see :class:`robustq.contracts.StateClassifier`."""
        return self._asked(StateClassifier).states(x)  # type: ignore[no-any-return]

    def of_states(self, states: Tensor) -> Tensor:
        """Logits ``(batch, 2)`` of such states, as if of unit length."""
        return self._of(self._asked(StateClassifier).of_states(states))

    def state_forms(self) -> Tensor:
        """``M_first`` and ``M_second - tau 1``."""
        return self._lowered(self._asked(StateClassifier).state_forms())

    @property
    def front(self) -> tuple[Tensor, Tensor] | None:
        """The model's own."""
        return self.base.front if isinstance(self.base, FrozenClassifier) else None

    def gate_angles(self) -> GateAngles:
        """The model's own."""
        return self._asked(FrozenClassifier).gate_angles()  # type: ignore[no-any-return]

    def trigonometric(self) -> Trigonometric:
        """The two polynomials, with the rounding of the subtraction in their error."""
        form = self._asked(FrozenClassifier).trigonometric()
        pair = form.coefficients[[self.first, self.second]].clone()
        pair[(1, *[0] * len(form.degrees))] -= self.tau
        largest = float(form.coefficients.abs().flatten(1).sum(1).max()) + abs(self.tau)
        return Trigonometric(pair, form.frequencies, form.error + 4 * UNIT * largest)

    def _of(self, logits: Tensor) -> Tensor:
        return torch.stack([logits[:, self.first], logits[:, self.second] - self.tau], 1)

    def _lowered(self, forms: Tensor) -> Tensor:
        identity = torch.eye(forms.shape[-1], dtype=forms.dtype, device=forms.device)
        return torch.stack([forms[self.first], forms[self.second] - self.tau * identity])

    def _asked(self, contract: type) -> Any:
        """The model, if it promises this.

        Raises:
            ModelError: otherwise, so that a certificate that needs it says it does not apply.
        """
        if not isinstance(self.base, contract):
            raise ModelError(
                f"expected a frozen model with {contract.__name__}'s methods, got {type(self.base).__name__}"
            )
        return self.base


@dataclass(frozen=True, eq=False)
class Versus(ClassPair):
    """The same of a model that reads its features directly: an :class:`robustq.contracts.AmplitudeClassifier` too."""

    def forms(self, dtype: torch.dtype) -> Tensor:
        """``Re M_first`` and ``Re M_second - tau 1``; the logits are already over ``x^T x``."""
        return self._lowered(self._asked(AmplitudeClassifier).forms(dtype))
