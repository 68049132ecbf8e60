"""What every stored result is made of: frozen records, and numbers with their intervals."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from robustq import stats
from robustq.stats import Interval


class Record(BaseModel):
    """Nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyRecord(BaseModel):
    """The whole outcome of a study's command, beginning with what was studied and by what."""

    model_config = Record.model_config
    command: ClassVar[str]
    title: str
    versions: dict[str, str]
    spec: dict[str, Any]
    spec_sha256: str
    data: dict[str, Any]
    threat: str
    confidence: float

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


class Estimate(Record):
    """A number with its interval."""

    value: float
    low: float
    high: float
    inputs: int = Field(description="test inputs it was measured on")
    seeds: int = Field(description="trained models it is averaged over")

    @staticmethod
    def of(interval: Interval) -> Estimate:
        """From the statistics floor, rounded to six digits."""
        low, value, high = (round(v, 6) + 0.0 for v in (interval.low, interval.value, interval.high))  # no -0.0
        return Estimate(value=value, low=low, high=high, inputs=interval.inputs, seeds=interval.seeds)


def share(flags: NDArray[np.float64], confidence: float) -> Estimate:
    """A share over seeds and inputs, of zeros and ones ``(seeds, inputs)``."""
    return Estimate.of(stats.proportion(flags, confidence))


def expected_calibration_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], generator: np.random.Generator, confidence: float
) -> Estimate:
    """Of every seed's probabilities ``(seeds, inputs, classes)``, averaged; resampled over seeds and inputs."""

    def error(seeds: NDArray[np.int64], inputs: NDArray[np.int64]) -> float:
        errors = [stats.expected_calibration_error(probabilities[seed][inputs], labels[inputs]) for seed in seeds]
        return float(np.mean(errors))

    seeds, inputs, _ = probabilities.shape
    return Estimate.of(stats.bootstrap(error, seeds, inputs, generator, resamples=300, confidence=confidence))
