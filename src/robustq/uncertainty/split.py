"""Where the uncertainty of an answer comes from: data, model, shots, device. In nats; parts add up.

With the probabilities ``p_sd`` that member ``s`` gives in draw ``d`` of its shots, ``p_s`` their mean over
draws and ``p`` over everything:

- total ``H(p)``;
- epistemic ``H(p) - mean_s H(p_s)``, the mutual information of answer and member (Houlsby et al. 2011;
  Depeweg et al., ICML 2018), which more training data would take away;
- shots ``mean_s [H(p_s) - mean_d H(p_sd)]``, the mutual information of answer and draw, which more shots would;
- noise ``mean_s [H(p_s under the device's noise) - H(p_s without)]``, which a better device would; below zero
  where noise makes answers surer, by pushing them to one class;
- data, the rest: what the members are unsure of even so.

Entropies of means over few members or draws are too low: so are epistemic and shots, by about
``(classes - 1) variance / (2 p count)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.contracts import Predictive
from robustq.errors import DataError, ModelError
from robustq.noise import Noise
from robustq.uncertainty.members import Members
from robustq.uncertainty.panel import mixture
from robustq.uncertainty.scores import entropy_of


@dataclass(frozen=True, eq=False)
class Split:
    """The parts of the entropy, in nats, ``(batch,)`` each.

    ``total = epistemic + shots + noise + data``. Total, epistemic and shots are never below zero.
    """

    total: Tensor
    epistemic: Tensor
    shots: Tensor
    noise: Tensor
    data: Tensor


def split(answers: Tensor, *, noiseless: Tensor | None = None, noisy: Tensor | None = None) -> Split:
    """The entropy of answers, taken apart.

    Args:
        answers: logits ``(members, batch, classes)``, or ``(members, draws, batch, classes)`` of a device
            with finite shots.
        noiseless: exact logits ``(members, batch, classes)`` without the device's noise; None if there
            is none.
        noisy: the same under it; may be left out where ``answers`` are exact, and is then what they are.

    Raises:
        DataError: on shapes that do not fit, values that are not finite, or draws and a noiseless twin
            without a noisy one: shots and noise could not be told apart.

    >>> disagree = torch.tensor([[[99.0, 0.0]], [[0.0, 99.0]]])
    >>> parts = split(disagree)
    >>> [round(float(part), 4) for part in (parts.total, parts.epistemic, parts.data)]
    [0.6931, 0.6931, 0.0]
    """
    drawn = answers if answers.ndim == 4 else answers[:, None]
    if drawn.ndim != 4 or not bool(torch.isfinite(answers).all()):
        raise DataError(
            f"expected finite logits (members, [draws,] batch, classes), got shape {tuple(answers.shape)}"
        )
    each = drawn.double().log_softmax(-1)
    by_member = mixture(each.transpose(0, 1))
    # mutual information twice: entropy of the mean less mean entropy, over members and over shots
    total, members = entropy_of(mixture(by_member)), entropy_of(by_member).mean(0)
    exact = entropy_of(each).mean((0, 1))
    noise = torch.zeros_like(total)
    if noiseless is not None:
        noise = _added(noiseless, _noisy(answers, noisy), by_member.shape)
    return Split(total, total - members, members - exact, noise, exact - noise)


def _noisy(answers: Tensor, noisy: Tensor | None) -> Tensor:
    if noisy is None and answers.ndim == 4:
        raise DataError("expected the exact logits under noise beside answers with finite shots, got none")
    return answers if noisy is None else noisy


def _added(noiseless: Tensor, noisy: Tensor, shape: torch.Size) -> Tensor:
    """How much entropy noise adds to a member, on average."""
    for twin in (noiseless, noisy):
        if twin.shape != shape or not bool(torch.isfinite(twin).all()):
            raise DataError(f"expected finite twins of shape {tuple(shape)}, got {tuple(twin.shape)}")
    before, after = (entropy_of(t.double().log_softmax(-1)).mean(0) for t in (noiseless, noisy))
    return after - before


def decomposed(
    model: Members,
    x: Tensor,
    *,
    noise: Noise | None = None,
    shots: int | None = None,
    draws: int = 20,
    generator: torch.Generator | None = None,
) -> Split:
    """The uncertainty of a posterior that is run on a device, for inputs ``(batch, *features)``.

    Args:
        model: a posterior, not linearised if shots are finite.
        x: the inputs.
        noise: of the device; None for none.
        shots: of every answer; None for exact expectations.
        draws: answers of each member, where shots are finite.
        generator: the shots' randomness.

    Raises:
        ModelError: if the model cannot be run so, or fewer than one draw is asked for.

    >>> from robustq.models.catalogue import qnn
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = Members.of([qnn(2, 2, generator=generator) for _ in range(3)])
    >>> parts = decomposed(model, torch.rand(5, 2, generator=generator), shots=50, generator=generator)
    >>> bool((parts.shots > 0).all())
    True
    """
    if draws < 1:
        raise ModelError(f"expected at least one draw, got {draws}")

    def member_logits(predictive: Predictive) -> Tensor:
        with torch.no_grad():
            return predictive.members(x)

    noiseless = None if noise is None else member_logits(model.freeze(uses=len(x)))
    noisy = None if noise is None else member_logits(model.freeze(noise, uses=len(x)))
    if shots is None:
        return split(member_logits(model) if noisy is None else noisy, noiseless=noiseless)
    device = model.under(noise, shots=shots, generator=generator)
    answers = torch.stack([member_logits(device) for _ in range(draws)], 1)
    return split(answers, noiseless=noiseless, noisy=noisy)
