"""The verdict on a certifier's claims: labels, witnesses and distances are checked here, not believed."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from robustq.contracts import Bounds, Certificate, Certifier, Classifier, Prover, Threat, check_logits, frozen
from robustq.errors import CertificateError, DataError, ModelError
from robustq.threats import check_inside
from robustq.threats.ball import column
from robustq.threats.box import inside

CHUNK = 256  # inputs at a time, by default
CONTRADICTION = 1e-9  # relative: a witness nearer than this below a certified radius refutes it


def certify(
    certifier: Certifier,
    model: Classifier,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    generator: torch.Generator,
    chunk: int = CHUNK,
    advance: Callable[[int, int], None] | None = None,
) -> Certificate:
    """Prove, for each input, how far the adversary can go without altering the answer.

    A quantum classifier is frozen first; everything runs in float64. A witness counts only if the
    model itself answers otherwise to it; its distance is measured again.

    Args:
        certifier: the method.
        model: maps ``(batch, *features)`` to logits ``(batch, classes)``.
        x: clean inputs, inside the threat's box.
        y: labels ``(batch,)`` of int64.
        threat: norm and box; ``eps`` is the largest budget of interest.
        generator: all of the randomness.
        chunk: inputs that are proved together.
        advance: called with ``(done, total)`` after every chunk.

    Raises:
        CertificateError: if a witness refutes a certificate, or the method does not apply.
        RobustQError: on data outside the box, labels out of range, logits that are not finite.

    >>> from robustq.certify import ExactAmplitude
    >>> from robustq.circuits import Circuit, encodings, per_qubit_z
    >>> from robustq.models import QuantumNet
    >>> from robustq.threats import L2
    >>> model = QuantumNet(encodings.amplitude(4), per_qubit_z(2, 2), generator=torch.Generator())
    >>> x, y = torch.tensor([[1.0, 0.4, 0.2, 0.0]]), torch.tensor([1])
    >>> certificate = certify(ExactAmplitude(), model, x, y, L2(1.0), generator=torch.Generator())
    >>> [round(float(r), 6) for r in (certificate.lower, certificate.upper)]
    [0.141421, 0.141421]
    """
    _check(x, y, threat)
    if chunk < 1:
        raise DataError(f"expected chunk >= 1, got {chunk}")
    with torch.no_grad():
        begun = time.perf_counter()
        target = frozen(model)
        prover = _prepared(certifier, target, threat, generator)
        x, y, ready = x.detach().double(), y.detach(), time.perf_counter()
        chunks = []
        for at in range(0, len(x), chunk):
            part = slice(at, at + chunk)
            _check_labels(y[part], check_logits(target(x[part]), len(x[part])).shape[1])
            chunks.append(_checked(prover, x[part], y[part], threat))
            if advance is not None:
                advance(min(at + chunk, len(x)), len(x))
    columns = [torch.cat(parts) for parts in zip(*chunks, strict=True)] if chunks else _none(x, y)
    label, correct, lower, upper, witness = columns
    return Certificate(
        label=label,
        correct=correct,
        lower=lower,
        upper=upper,
        witness=witness,
        confidence=certifier.confidence,
        seconds=time.perf_counter() - ready,
        preparation=ready - begun,
    )


def _prepared(certifier: Certifier, model: Classifier, threat: Threat, generator: torch.Generator) -> Prover:
    try:
        return certifier.prepare(model, threat, generator)
    except torch.linalg.LinAlgError as failure:  # type: ignore[attr-defined]  # NaN in a form
        raise ModelError(f"expected a model with finite logits, got {failure}") from failure


def _checked(prover: Prover, x: Tensor, y: Tensor, threat: Threat) -> tuple[Tensor, ...]:
    """Label, correctness, both radii and the witness of some inputs."""
    claim = prover.prove(x)
    _check_claim(claim, len(x))
    abstained = claim.label < 0
    lower = claim.lower.masked_fill(abstained, 0.0)
    witness, upper = x.clone(), torch.full_like(lower, torch.inf)
    if claim.witness is not None:
        believed = _flips(prover, claim, threat) & ~abstained
        witness = torch.where(column(believed, x), claim.witness, x)
        upper = threat.distance(witness, x).double().masked_fill(~believed, torch.inf)
    if bool((upper < lower * (1 - CONTRADICTION)).any()):
        row = int((upper - lower).argmin())
        raise CertificateError(
            f"expected no witness within a certified radius, got one at {float(upper[row]):g} for "
            f"{float(lower[row]):g}: the certificate is wrong"
        )
    return claim.label, claim.label == y, torch.minimum(lower, upper), upper, witness


def _flips(prover: Prover, claim: Bounds, threat: Threat) -> Tensor:
    """Witnesses in the box that the model answers otherwise to, ``(batch,)`` of bool."""
    assert claim.witness is not None
    logits = check_logits(prover.model(claim.witness), len(claim.label))
    allowed = torch.isfinite(claim.upper) & inside(claim.witness, threat.box)
    return allowed & (logits.argmax(1) != claim.label)


def _check_claim(claim: Bounds, batch: int) -> None:
    """Refuse radii that are none."""
    for name in ("label", "lower", "upper"):
        values = getattr(claim, name)
        if values.shape != (batch,):
            raise CertificateError(f"expected {name} of shape ({batch},), got {tuple(values.shape)}")
        if bool(torch.isnan(values).any()) or (name != "label" and bool((values < 0).any())):
            raise CertificateError(f"expected {name} >= 0, got NaN or a negative number")


def _check_labels(y: Tensor, classes: int) -> None:
    """Refuse labels that are no class of the model."""
    if int(y.max()) >= classes:
        raise DataError(f"expected labels below {classes}, got {int(y.max())}")


def _check(x: Tensor, y: Tensor, threat: Threat) -> None:
    if x.ndim < 2 or y.shape != (len(x),):
        raise DataError(
            f"expected inputs (batch, features) and labels (batch,), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if y.dtype != torch.int64 or (len(y) and int(y.min()) < 0):
        raise DataError(f"expected int64 labels >= 0, got {y.dtype}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("expected finite inputs, got NaN or infinity")
    check_inside(x, threat.box)


def _none(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """The columns of no inputs."""
    empty = torch.zeros(0, dtype=torch.float64)
    return y, y == y, empty, empty, x
