"""Barren plateaus: how the gradients of a model family shrink as it grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from robustq.audit.evidence import Plateau
from robustq.contracts import check_logits
from robustq.errors import DataError, ModelError

OUTSIDE = 1e-9  # of the largest variance: rounding, outside the light cone
Build = Callable[[int, torch.Generator], tuple[nn.Module, Tensor]]


def gradient_variance(
    build: Build, qubits: Sequence[int], *, draws: int = 100, generator: torch.Generator
) -> Plateau:
    """Variance over random models of the gradients of the first logit, for each width.

    A lone scalar parameter is a scale and not an angle, and is left out. The variances are averaged over
    the angles (features) inside the read-out's light cone: what lies outside has none, at any width.

    Args:
        build: from a width and a generator to a random model and one random input ``(1, features)``.
        qubits: the widths, rising, three at least.
        draws: random models a width.
        generator: all the randomness.

    Raises:
        DataError: on fewer than three widths or two draws.
        ModelError: if a model has no trainable angles, or no gradients.

    McClean et al., Nat. Commun. 9 (2018); Cerezo et al., Nat. Commun. 12 (2021).

    >>> def build(width, generator):
    ...     return nn.Linear(width, 2), torch.rand(1, width, generator=generator)
    >>> gradient_variance(build, [2, 3, 4], draws=5, generator=torch.Generator()).qubits
    (2, 3, 4)
    """
    widths = tuple(qubits)
    if len(widths) < 3 or sorted(set(widths)) != list(widths) or draws < 2:
        raise DataError(f"expected three rising widths or more, and draws >= 2, got {widths} and {draws}")
    inputs, parameters = [], []
    for width in widths:
        drawn = [_gradients(*build(width, generator)) for _ in range(draws)]
        inputs.append(_variance([x for x, _ in drawn]))
        parameters.append(_variance([theta for _, theta in drawn]))
    return Plateau(widths, tuple(inputs), tuple(parameters))


def _gradients(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    angles = [p for p in model.parameters() if p.requires_grad and p.ndim]
    if not angles:
        raise ModelError("expected a model with trainable angles, got none")
    x = x.detach().clone().requires_grad_(True)
    logits = check_logits(model(x), len(x))
    if not logits.requires_grad:
        raise ModelError("expected a model with gradients, got none")
    gradients = torch.autograd.grad(logits[0, 0], [x, *angles], materialize_grads=True)
    return gradients[0].flatten(), torch.cat([g.flatten() for g in gradients[1:]])


def _variance(rows: list[Tensor]) -> float:
    each = torch.stack(rows).double().var(0)
    felt = each > OUTSIDE * each.max()
    return float(each[felt].mean()) if bool(felt.any()) else 0.0
