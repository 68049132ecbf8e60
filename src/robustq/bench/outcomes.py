"""What the units of one entrant left behind, and the figures that the rows of every table begin with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from robustq.bench.entrants import Entrant
from robustq.bench.estimates import Estimate, expected_calibration_error, share
from robustq.bench.measurement import AttackStage, CleanStage, NoiseStage, resilience
from robustq.bench.proofs import ProofStage, certified, reason
from robustq.bench.spec import Specification
from robustq.bench.stages import Stage, Table, of_every_seed, table
from robustq.bench.training import TrainingStage
from robustq.data import Dataset
from robustq.seeding import numpy_generator
from robustq.stats import ratio

G = TypeVar("G", bound=Stage)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What all seeds of one entrant produced; tables are ``(seeds, inputs)``.

    Attributes:
        entrant: whose outcomes.
        folders: of its units, one a seed.
        confidence: of the intervals made of them.
    """

    entrant: Entrant
    folders: list[Path]
    confidence: float

    @staticmethod
    def of(run: Path, entrant: Entrant, spec: Specification) -> Outcomes:
        """Those of a run."""
        return Outcomes(entrant, [run / entrant.folder(seed) for seed in range(spec.seeds)], spec.confidence)

    def stages(self, kind: type[G]) -> list[G]:
        """One stage of every seed; empty where it was not done."""
        return of_every_seed(kind, self.folders)

    @cached_property
    def training(self) -> list[TrainingStage]:
        """How each model was trained."""
        return self.stages(TrainingStage)

    @cached_property
    def clean(self) -> list[CleanStage]:
        """Answers to the clean inputs."""
        return self.stages(CleanStage)

    @cached_property
    def attacks(self) -> list[AttackStage]:
        """The attacks over the grid of eps."""
        return self.stages(AttackStage)

    @cached_property
    def proofs(self) -> list[ProofStage]:
        """What is proved."""
        return self.stages(ProofStage)

    @cached_property
    def correct(self) -> Table:
        """Clean inputs classified correctly."""
        return table(seed.correct for seed in self.clean)

    @cached_property
    def probabilities(self) -> Table:
        """Of clean inputs, ``(seeds, inputs, classes)``."""
        return np.array([seed.probabilities for seed in self.clean])

    @cached_property
    def robust(self) -> dict[float, Table]:
        """Who is right and survives all attacks, by eps."""
        return {level.eps: self.survivors(level.eps) for level in self.attacks[0].curve}

    def survivors(self, eps: float, attack: str = "robust") -> Table:
        """Who is right and survives one attack."""
        # of a model that answers at random two majorities may differ
        return table(getattr(seed.at(eps), attack) for seed in self.attacks) * self.correct

    def point(self, eps: float) -> dict[str, Any]:
        """What every table says of one budget: shares, and what the attacks cost."""
        levels = [seed.at(eps) for seed in self.attacks]
        robust = self.robust[eps]
        return {
            "eps": eps,
            "robust": share(robust, self.confidence),
            "success": Estimate.of(ratio(self.correct - robust, self.correct, self.confidence)),
            "robust_to_noise": share(self.survivors(eps, "noise"), self.confidence),
            "queries": sum(level.queries for level in levels),
            "gradients": sum(level.gradients for level in levels),
        }

    def figures(self, spec: Specification, data: Dataset) -> dict[str, Any]:
        """What every table says of an entrant, whatever the attacks were."""
        noise, stream = self.stages(NoiseStage), numpy_generator(spec.seed, self.entrant.key, "bootstrap")
        return {
            "key": self.entrant.key,
            "family": self.entrant.family,
            "parameters": self.training[0].parameters,
            "accuracy": share(self.correct, self.confidence),
            "accuracy_by_seed": [round(float(v), 6) for v in self.correct.mean(1)],
            "calibration_error": expected_calibration_error(self.probabilities, data.y_test, stream, self.confidence),
            "noise_resilience": resilience(noise, self.correct, self.confidence) if noise else None,
            "certified": certified(self.proofs, self.robust, self.confidence),
            "uncertified": reason(self.proofs),
        }


def majority(data: Dataset) -> float:
    """Accuracy of always answering the commonest test class."""
    return round(float(np.bincount(data.y_test).max() / len(data.y_test)), 6)
