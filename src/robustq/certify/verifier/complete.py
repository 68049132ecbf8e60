"""Every input decided: a proof that no change within the budget alters the answer, or one that does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robustq.certify.verifier.descent import margin
from robustq.certify.verifier.radius import bracketed
from robustq.certify.verifier.region import Norm, Region, check_norm
from robustq.certify.verifier.search import Decision, Effort, decide
from robustq.certify.verifier.sigmoid import SquashedProver
from robustq.contracts import Bounds, Classifier, FrozenClassifier, Threat
from robustq.errors import CertificateError, ModelError
from robustq.threats import Linf
from robustq.trigonometric import Trigonometric

MANY, FEW = 2_000, 20  # boxes for one decision
ENTRIES = 1 << 17  # control values for one decision: more boxes of fewer features
HALVINGS = 40  # of the way from an input to its witness


@dataclass(frozen=True)
class Complete:
    """Branch and bound over the trigonometric polynomials that the logits are.

    Within a box of features a polynomial lies between its smallest and its largest control value, which
    come as near as one likes when the box is halved often enough; at up to a dozen features one box mostly
    suffices. Depth, entanglement and noise do not matter, the ball may be l-inf, l2 or l1. This is the complete
    verification of Bunel et al. (JMLR 2020), with a relaxation of our own that is made for circuits.

    Of a hybrid, what reaches the circuit is enclosed in a box first: its proofs are as true, but nothing is
    refuted and not everything is decided.

    Rounding is bounded and counted: a proof at ``lower`` holds for the exact polynomial and for the model's
    own floating-point logits.

    Args:
        eps: largest radius of interest; None for the threat's.
        tolerance: how near both bounds have to come, as a share of ``eps``.
        decide_only: decide at ``eps`` and look for no radius: ``lower`` is then ``eps`` or 0.
        nodes: boxes that are bounded for one decision, before it is given up; None for ``MANY`` in
            l-inf, and in l2 and l1, whose balls boxes fit badly, for ``ENTRIES`` control values.
        seconds: wall time for one decision, on average over the inputs decided together.
        slack: how far every margin may truly lie lower, in logits (an uncertain device's).

    >>> print(Complete(), "|", Complete(decide_only=True))
    complete | complete, decisions only
    """

    eps: float | None = None
    tolerance: float = 1e-3
    decide_only: bool = False
    nodes: int | None = None
    seconds: float = math.inf
    slack: float = 0.0

    confidence = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise CertificateError(f"complete: expected 0 < tolerance < 1, got {self.tolerance}")
        if self.eps is not None and not 0 <= self.eps < math.inf:
            raise CertificateError(f"complete: expected eps >= 0 and finite, got {self.eps}")
        if not self.slack >= 0:
            raise CertificateError(f"complete: expected slack >= 0, got {self.slack}")
        if (self.nodes is not None and self.nodes < 1) or not self.seconds > 0:
            raise CertificateError(
                f"complete: expected nodes >= 1 and seconds > 0, got {self.nodes} and {self.seconds}"
            )

    def __str__(self) -> str:
        return "complete" + (", decisions only" if self.decide_only else "")

    def effort(self, threat: Norm, form: Trigonometric) -> Effort:
        """When one decision is given up."""
        size = form.coefficients[0].numel()
        usual = MANY if isinstance(threat, Linf) else max(FEW, ENTRIES // size)
        return Effort(usual if self.nodes is None else self.nodes, self.seconds)

    def largest(self, threat: Norm) -> float:
        """The largest radius of interest."""
        return threat.eps if self.eps is None else self.eps

    def prepare(
        self, model: Classifier, threat: Threat, generator: torch.Generator
    ) -> CompleteProver | SquashedProver:
        """The polynomials, once; for a hybrid those behind its sigmoid.

        Raises:
            CertificateError: unless the model's features turn gates by commensurate angles, and the
                threat is an l-inf, l2 or l1 ball.
        """
        norm = check_norm("complete", threat)
        frozen, form = polynomials("complete", model)
        if frozen.front is None:
            return CompleteProver(self, model, form, norm)
        share = 1.0 if self.decide_only else self.tolerance
        effort = self.effort(norm, form)
        return SquashedProver(model, frozen.front, form, norm, self.largest(norm), share, effort, self.slack)


def polynomials(name: str, model: Classifier) -> tuple[FrozenClassifier, Trigonometric]:
    """A frozen model, and its logits as trigonometric polynomials of what reaches its circuit.

    Raises:
        CertificateError: where they are none.
    """
    if not isinstance(model, FrozenClassifier):
        raise CertificateError(f"{name}: expected a model whose features turn gates, got {type(model).__name__}")
    try:
        return model, model.trigonometric()
    except ModelError as failure:
        raise CertificateError(f"{name}: {failure}") from failure


@dataclass(frozen=True, eq=False)
class CompleteProver:
    """:class:`Complete` for one model and one threat."""

    certifier: Complete
    model: Classifier
    form: Trigonometric
    threat: Norm

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, features)``, up to the budget."""
        certifier = self.certifier
        label = self.model(x).argmax(1)
        eps = certifier.largest(self.threat)

        def at(rows: Tensor, radii: Tensor) -> tuple[Decision, Tensor]:
            region = Region.around(self.threat, x[rows], radii)
            decision = decide(
                self.form, label[rows], region, certifier.effort(self.threat, self.form), slack=certifier.slack
            )
            if not certifier.decide_only:
                decision = replace(decision, witness=self._nearer(x[rows], label[rows], decision))
            return decision, self.threat.distance(decision.witness, x[rows])

        bracket = bracketed(at, x, eps, certifier.tolerance * eps, decide_only=certifier.decide_only)
        return Bounds(label=label, lower=bracket.lower, upper=bracket.upper, witness=bracket.witness)

    def _nearer(self, x: Tensor, label: Tensor, decision: Decision) -> Tensor:
        """Witnesses moved towards their inputs while they remain witnesses; the box is convex."""
        rows = torch.nonzero(decision.refuted)[:, 0]
        start, end = x[rows], decision.witness[rows]
        low, high = (torch.full((len(rows), 1), share).double() for share in (0.0, 1.0))
        for _ in range(HALVINGS if len(rows) else 0):
            middle = (low + high) / 2
            margins = margin(self.form(start + middle * (end - start)), label[rows])
            # both logits may be off by form.error: only a margin that low is a counterexample for certain
            flips = (margins < self.certifier.slack - 2 * self.form.error)[:, None]
            low, high = torch.where(flips, low, middle), torch.where(flips, middle, high)
        nearer = decision.witness.clone()
        # high is the last share that flipped; 1 means the witness itself, kept bit for bit
        nearer[rows] = torch.where(high < 1, start + high * (end - start), end)
        return nearer
