"""What every stored result is made of: frozen records, and numbers with their intervals."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from robustq.stats import Interval


class Record(BaseModel):
    """Nothing unknown, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
