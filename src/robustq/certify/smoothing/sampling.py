"""Gaussian smoothing by samples, for any classifier."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from robustq.certify.euclidean import check_norm, in_norm
from robustq.contracts import Bounds, Classifier, Threat, check_logits
from robustq.errors import CertificateError
from robustq.stats import clopper_pearson

CHUNK = 4096  # noisy inputs at a time
CLOSED = 1 - 1e-12  # a claim holds at its radius too, where two classes could otherwise draw level


@dataclass(frozen=True)
class GaussianSmoothing:
    """Certifies the class that the model gives most often under Gaussian noise on its input.

    Cohen, Rosenfeld & Kolter (ICML 2019): a few samples guess the class, further ones bound its chance
    from below (Clopper & Pearson); a chance ``p > 1/2`` proves the l2 radius ``sigma Phi^-1(p)``, anything
    less is an abstention. Each claim is wrong with probability ``alpha`` at most. l1 and l-infinity
    radii are what the l2 ball contains.

    Args:
        sigma: standard deviation of the noise on each feature, in the input's units.
        alpha: chance that a claim is wrong.
        guess: samples that choose the class.
        samples: samples that bound its chance.

    Raises:
        CertificateError: if a value is out of range.

    >>> print(GaussianSmoothing(0.25))
    Gaussian smoothing, sigma=0.25, 10000 samples
    """

    sigma: float = 0.25
    alpha: float = 0.001
    guess: int = 100
    samples: int = 10_000

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise CertificateError(f"gaussian-smoothing: expected sigma > 0, got {self.sigma}")
        if not 0 < self.alpha < 1:
            raise CertificateError(f"gaussian-smoothing: expected alpha in (0, 1), got {self.alpha}")
        if min(self.guess, self.samples) < 1:
            raise CertificateError(
                f"gaussian-smoothing: expected guess >= 1 and samples >= 1, got {self.guess} and {self.samples}"
            )

    def __str__(self) -> str:
        return f"Gaussian smoothing, sigma={self.sigma:g}, {self.samples} samples"

    @property
    def confidence(self) -> float:
        """Of each claim by itself."""
        return 1 - self.alpha

    @property
    def largest(self) -> float:
        """The l2 radius where every sample agrees: with so many samples no claim is larger.

        >>> round(GaussianSmoothing(1.0, alpha=0.001, samples=10_000).largest, 3)
        3.199
        """
        return float(self.radius(torch.tensor([self.samples]))[0])

    def radius(self, votes: Tensor) -> Tensor:
        """l2 radii of inputs whose class had so many votes; zero where they prove nothing, ``(batch,)``."""
        chance = torch.as_tensor(clopper_pearson(votes.numpy(), self.samples, self.alpha))
        height: Tensor = torch.special.ndtri(chance.clamp_min(0.5))
        return self.sigma * CLOSED * height

    def prepare(self, model: Classifier, threat: Threat, generator: torch.Generator) -> SampledProver:
        """Nothing but the noise of :attr:`SampledProver.model`.

        Raises:
            CertificateError: unless the threat is l2, l1 or l-infinity in one unit.
        """
        check_norm(threat, "gaussian-smoothing")
        # the answering model keeps one cloud of its own, the same for every input
        seed = int(torch.randint(2**62, (), generator=generator))
        votes = Votes(model, self.sigma, self.samples, seed)
        return SampledProver(self, model, votes, threat, generator)


@dataclass(frozen=True, eq=False)
class SampledProver:
    """:class:`GaussianSmoothing` for one model."""

    certifier: GaussianSmoothing
    base: Classifier
    model: Votes
    threat: Threat
    generator: torch.Generator

    def prove(self, x: Tensor) -> Bounds:
        """Radii of inputs ``(batch, *features)``, each from noise of its own."""
        # other samples than those that bound its chance: a guess from the same ones would bias the bound
        guessed = self._votes(x, self.certifier.guess).argmax(1)
        votes = self._votes(x, self.certifier.samples).gather(1, guessed[:, None])[:, 0]
        radius = self.certifier.radius(votes)
        label = guessed.masked_fill(radius <= 0, -1)
        lower = in_norm(radius, self.threat, x[0].numel() if len(x) else 1)
        return Bounds(label=label, lower=lower, upper=torch.full_like(lower, torch.inf))

    def predict(self, x: Tensor) -> Tensor:
        """The class of the smoothed model, ``(batch,)``; -1 where the two leading ones are too close.

        It is another than the smoothed model's with probability ``alpha`` at most (Cohen et al., PREDICT;
        Hung & Fithian, Annals of Statistics 47, 2019).
        """
        votes = self._votes(x, self.certifier.samples)
        leading, label = votes.topk(2, 1)
        alpha = self.certifier.alpha / 2  # a test of two sides
        least = clopper_pearson(leading[:, 0].numpy(), leading.sum(1).numpy(), alpha)
        return label[:, 0].masked_fill(torch.as_tensor(least) <= 0.5, -1)

    def _votes(self, x: Tensor, samples: int) -> Tensor:
        """How often each class is answered around each input, ``(batch, classes)`` of int64."""
        total = torch.zeros(0, dtype=torch.int64)
        for rows in _chunks(len(x) * samples):
            rows = rows // samples
            noise = torch.randn((len(rows), *x.shape[1:]), generator=self.generator, dtype=x.dtype).to(x.device)
            logits = check_logits(self.base(x[rows] + self.certifier.sigma * noise), len(rows))
            classes = logits.shape[1]
            place = rows * classes + logits.argmax(1).cpu()
            total = torch.bincount(place, minlength=len(x) * classes) + (total if len(total) else 0)
        return total.reshape(len(x), -1) if len(x) else total.reshape(0, 2)


@dataclass(frozen=True, eq=False)
class Votes:
    """Share of the votes of each class under one fixed cloud of noise, the same for every input.

    A function of the input alone, so that an answer can be repeated; certificates draw anew.

    Args:
        base: the model that is asked.
        sigma: standard deviation of the noise.
        samples: votes an answer.
        seed: of the cloud.

    >>> Votes(lambda x: torch.cat([x, -x], 1), 1.0, 1000, 0)(torch.tensor([[9.0]]))
    tensor([[1., 0.]])
    """

    base: Classifier
    sigma: float
    samples: int
    seed: int

    def __call__(self, x: Tensor) -> Tensor:
        """Shares ``(batch, classes)`` at inputs ``(batch, *features)``."""
        if not len(x):  # of how many classes, only an input would tell
            return x.new_zeros(0, 2)
        generator = torch.Generator().manual_seed(self.seed)
        total: Tensor | None = None
        for part in _chunks(self.samples):
            noise = torch.randn((len(part), *x.shape[1:]), generator=generator, dtype=x.dtype)
            counts = torch.stack([self._count(row, noise.to(x.device)) for row in x])
            total = counts if total is None else total + counts
        assert total is not None
        return total.to(x.dtype) / self.samples

    def _count(self, row: Tensor, noise: Tensor) -> Tensor:
        """Votes at one input, ``(classes,)``."""
        logits = check_logits(self.base(row + self.sigma * noise), len(noise))
        return torch.bincount(logits.argmax(1), minlength=logits.shape[1])


def _chunks(total: int) -> Iterator[Tensor]:
    """The numbers below ``total``, a chunk at a time."""
    for at in range(0, total, CHUNK):
        yield torch.arange(at, min(at + CHUNK, total))
