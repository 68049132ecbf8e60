"""A model as a function of its parameters, taken as one vector."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from robustq.errors import ModelError

Model = TypeVar("Model", bound=nn.Module)
STEP = 1e-5  # of central differences in float64: truncation and rounding are both about 1e-11


def vector_of(model: nn.Module) -> Tensor:
    """All parameters, detached, ``(P,)``, in the order of ``model.parameters()``.

    Raises:
        ModelError: if there are none.

    >>> vector_of(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    parameters = list(model.parameters())
    if not parameters:
        raise ModelError(f"expected a model with parameters, got none in {type(model).__name__}")
    return parameters_to_vector(parameters).detach().clone()


def at(model: Model, vector: Tensor) -> Model:
    """A twin of ``model`` whose parameters are ``vector (P,)``, differentiable in it.

    Everything else is shared, the model stays as it is.

    Raises:
        ModelError: if the vector has another length.

    >>> model = nn.Linear(1, 1)
    >>> at(model, torch.tensor([2.0, 1.0]))(torch.tensor([[3.0]]))
    tensor([[7.]])
    """
    parameters = list(model.parameters())
    sizes = [p.numel() for p in parameters]
    if vector.shape != (sum(sizes),):
        raise ModelError(f"expected {sum(sizes)} parameters, got shape {tuple(vector.shape)}")
    parts = torch.split(vector, sizes)
    new = {id(p): part.view(p.shape) for p, part in zip(parameters, parts, strict=True)}
    return _twin(model, new)


def _twin(model: Model, new: Mapping[int, Tensor]) -> Model:
    twin = copy.copy(model)
    parameters = model._parameters.items()
    twin._parameters = {k: None if p is None else new[id(p)] for k, p in parameters}  # type: ignore[misc]
    twin._modules = {k: part and _twin(part, new) for k, part in model._modules.items()}
    return twin


def jacobian(model: nn.Module, x: Tensor, among: Sequence[int] | None = None) -> Tensor:
    """Slopes of the logits in the parameters, float64 ``(batch, classes, len(among))``.

    By central differences over the whole batch, two forward passes a parameter: no backward pass gives a
    gradient for each input and class at once.

    Args:
        model: a classifier that is differentiable in its parameters and the same at every call.
        x: inputs ``(batch, *features)``.
        among: the parameters' numbers; None for all.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> jacobian(model, torch.tensor([[3.0, 4.0]]))[0].round(decimals=6).tolist()
    [[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 3.0, 4.0]]
    """
    centre, inputs = vector_of(model).double(), x.double()
    columns = []
    with torch.no_grad():
        for number in range(len(centre)) if among is None else among:
            shift = torch.zeros_like(centre)
            shift[number] = STEP
            ahead, behind = at(model, centre + shift)(inputs), at(model, centre - shift)(inputs)
            columns.append((ahead - behind) / (2 * STEP))
    return torch.stack(columns, -1)
