"""How a device changes between calibrations, as named scenarios.

A scenario maps the qubits and couplings of one snapshot to those of a later one. Where relaxation
gets faster, gate errors rise by what the coherence limit rises, because they hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from robustq.catalogue import Entry
from robustq.errors import CircuitError
from robustq.noise.calibration import Coupling, Qubit, coherence_limit

Qubits = tuple[Qubit, ...]
Couplings = tuple[Coupling, ...]
Calibration = tuple[Qubits, Couplings]


def none(qubits: Qubits, couplings: Couplings) -> Calibration:
    """Nothing changes."""
    return qubits, couplings


def t1_drop(qubits: Qubits, couplings: Couplings, *, amount: float = 0.5) -> Calibration:
    """Every T1 falls to ``1 - amount`` of itself; pure dephasing stays, so T2 falls with it."""
    _check(0 <= amount < 1, "t1-drop", "amount in [0, 1)", amount)
    return _relaxing(qubits, couplings, [1 - amount] * len(qubits))


def gate_error_doubling(qubits: Qubits, couplings: Couplings, *, amount: float = 2.0) -> Calibration:
    """Every gate error is multiplied by ``amount``."""
    _check(amount >= 0, "gate-error-doubling", "amount >= 0", amount)
    worse = tuple(replace(q, gate_error=min(1.0, amount * q.gate_error)) for q in qubits)
    return worse, tuple(replace(c, gate_error=min(1.0, amount * c.gate_error)) for c in couplings)


def readout_shift(qubits: Qubits, couplings: Couplings, *, amount: float = 0.02) -> Calibration:
    """``amount`` is added to both read-out errors of every qubit, up to one half."""
    _check(-1 <= amount <= 0.5, "readout-shift", "amount in [-1, 0.5]", amount)

    def moved(p: float) -> float:
        return float(np.clip(p + amount, 0, max(0.5, p)))

    return tuple(replace(q, p01=moved(q.p01), p10=moved(q.p10)) for q in qubits), couplings


def crosstalk(qubits: Qubits, couplings: Couplings, *, amount: float = 50e3) -> Calibration:
    """``amount`` hertz are added to the size of every ZZ shift."""
    _check(bool(np.isfinite(amount)), "crosstalk", "a finite amount in hertz", amount)
    stronger = [c.zz + float(np.copysign(amount, c.zz)) for c in couplings]
    return qubits, tuple(replace(c, zz=z) for c, z in zip(couplings, stronger, strict=True))


def tls_defect(
    qubits: Qubits,
    couplings: Couplings,
    *,
    amount: float = 0.9,
    qubit: int | None = None,
    generator: np.random.Generator | None = None,
) -> Calibration:
    """A two-level defect meets one qubit, given or drawn: its T1 falls to ``1 - amount`` of itself."""
    _check(0 <= amount < 1, "tls-defect", "amount in [0, 1)", amount)
    if qubit is None:
        qubit = int(_needed("tls-defect", generator).integers(len(qubits)))
    _check(0 <= qubit < len(qubits), "tls-defect", f"qubit in 0..{len(qubits) - 1}", qubit)
    factors = [1 - amount if q == qubit else 1.0 for q in range(len(qubits))]
    return _relaxing(qubits, couplings, factors)


def random_walk(
    qubits: Qubits,
    couplings: Couplings,
    *,
    amount: float = 0.1,
    steps: int = 1,
    generator: np.random.Generator | None = None,
) -> Calibration:
    """Every number walks ``steps`` independent steps of ``amount`` on a logarithmic scale."""
    _check(amount >= 0, "random-walk", "amount >= 0", amount)
    _check(steps >= 1, "random-walk", "steps >= 1", steps)
    rng = _needed("random-walk", generator)

    def factor() -> float:
        # the sum of independent normal steps is one normal step
        return float(np.exp(amount * np.sqrt(steps) * rng.normal()))

    walked, joined = _relaxing(qubits, couplings, [factor() for _ in qubits])
    moved = tuple(
        replace(
            q,
            p01=min(q.p01 * factor(), 1.0),
            p10=min(q.p10 * factor(), 1.0),
            gate_error=min(q.gate_error * factor(), 1.0),
        )
        for q in walked
    )
    return moved, tuple(replace(c, gate_error=min(c.gate_error * factor(), 1.0), zz=c.zz * factor()) for c in joined)


def interval(
    qubits: Qubits, couplings: Couplings, *, amount: float = 0.1, generator: np.random.Generator | None = None
) -> Calibration:
    """Every number is drawn anew, uniformly, from within ``amount`` of itself; durations are exact."""
    _check(0 <= amount < 1, "interval", "amount in [0, 1)", amount)
    rng = _needed("interval", generator)
    return rescaled(qubits, couplings, lambda: float(rng.uniform(1 - amount, 1 + amount)))


def rescaled(qubits: Qubits, couplings: Couplings, factor: Callable[[], float]) -> Calibration:
    """Every number but the durations times a factor of its own; T2 no further than twice T1.

    >>> from robustq.noise import Device
    >>> device = Device.bundled("manila")
    >>> low, _ = rescaled(device.qubits, device.couplings, lambda: 0.5)
    >>> low[0].p10 / device.qubits[0].p10
    0.5
    """
    moved = []
    for q in qubits:
        t1 = factor() * q.t1
        p01, p10, error = (min(1.0, factor() * p) for p in (q.p01, q.p10, q.gate_error))
        t2 = min(factor() * q.t2, 2 * t1)
        moved.append(replace(q, t1=t1, t2=t2, p01=p01, p10=p10, gate_error=error))
    return tuple(moved), tuple(
        replace(c, gate_error=min(1.0, factor() * c.gate_error), zz=factor() * c.zz) for c in couplings
    )


def _relaxing(qubits: Qubits, couplings: Couplings, factors: Sequence[float]) -> Calibration:
    """Every T1 times its factor at constant pure dephasing; gate errors follow their limit."""
    after = tuple(
        # 1/T2 = 1/(2 T1) + 1/Tphi with Tphi unchanged
        replace(q, t1=f * q.t1, t2=1 / (1 / q.t2 + (1 / f - 1) / (2 * q.t1)))
        for q, f in zip(qubits, factors, strict=True)
    )
    moved = tuple(
        replace(new, gate_error=_following(new.gate_error, (old,), (new,), new.gate_duration))
        for old, new in zip(qubits, after, strict=True)
    )
    joined = []
    for c in couplings:
        old_pair, new_pair = (tuple(some[q] for q in c.qubits) for some in (qubits, after))
        error = _following(c.gate_error, old_pair, new_pair, c.gate_duration)
        joined.append(replace(c, gate_error=error))
    return moved, tuple(joined)


def _following(error: float, before: Qubits, after: Qubits, duration: float) -> float:
    change = coherence_limit(after, duration) - coherence_limit(before, duration)
    return float(np.clip(error + change, 0, 1))


def _needed(name: str, generator: np.random.Generator | None) -> np.random.Generator:
    if not isinstance(generator, np.random.Generator):
        raise CircuitError(f"{name}: expected a numpy generator, got {generator!r}")
    return generator


def _check(holds: bool, name: str, expected: str, value: object) -> None:
    if not holds:
        raise CircuitError(f"{name}: expected {expected}, got {value}")


@dataclass(frozen=True)
class DriftEntry(Entry[Calibration]):
    """One scenario; it is given what drifts, and a generator if it needs chance."""

    needs: tuple[str, ...] = field(default=("qubits", "couplings"), kw_only=True)

    offers: ClassVar[tuple[str, ...]] = ("qubits", "couplings", "generator")


SCENARIOS: Mapping[str, DriftEntry] = {
    "none": DriftEntry(none, "nothing changes", "-", null=True),
    "t1-drop": DriftEntry(t1_drop, "every T1 falls by a fraction", "Carroll et al., npj QI 8, 132 (2022)"),
    "gate-error-doubling": DriftEntry(
        gate_error_doubling, "every gate error is multiplied", "Proctor et al., Nat. Commun. 11, 5396 (2020)"
    ),
    "readout-shift": DriftEntry(readout_shift, "every read-out error rises", "Bravyi et al., PRA 103, 042605 (2021)"),
    "crosstalk": DriftEntry(crosstalk, "every ZZ shift grows", "Mundada et al., PR Applied 12, 054023 (2019)"),
    "tls-defect": DriftEntry(
        tls_defect,
        "one qubit loses its T1 to a two-level defect",
        "Klimov et al., PRL 121, 090502 (2018)",
        needs=("qubits", "couplings", "generator"),
    ),
    "random-walk": DriftEntry(
        random_walk,
        "every number walks on a logarithmic scale",
        "Proctor et al., Nat. Commun. 11, 5396 (2020)",
        needs=("qubits", "couplings", "generator"),
    ),
    "interval": DriftEntry(
        interval,
        "every number is drawn anew from an interval around it",
        "Proctor et al., Nat. Commun. 11, 5396 (2020)",
        needs=("qubits", "couplings", "generator"),
    ),
}
