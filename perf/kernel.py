"""The fidelity kernel matrix ``|<phi(a)|phi(b)>|^2`` of a batch with itself, IQP encoding."""

from __future__ import annotations

import statistics
from importlib import import_module
from importlib.util import find_spec

import torch

from perf.compare import TOLERANCE, Disagreement, Row
from perf.options import Options
from perf.timing import burst, timed
from perf.workload import Workload
from robustq.circuits import encodings
from robustq.engine import evolve

WORKS = (Workload(10, 2, 1000),)
MODULE = "robustq.engine.kernels"


def kernel(options: Options) -> list[Row]:
    """One row per size; a note where the library has no such function."""
    return [_row(work, options.repeats) for work in options.resize(WORKS)]


def _row(work: Workload, repeats: int) -> Row:
    head: Row = {"subject": "kernel", "qubits": work.qubits, "layers": work.layers, "batch": work.batch}
    if find_spec(MODULE) is None:
        return head | {"note": f"{MODULE} is not there"}
    fidelity_kernel = import_module(MODULE).fidelity_kernel
    circuit = encodings.iqp(work.qubits, repeats=work.layers)
    x, none = work.data()[0], torch.zeros(0)

    def step() -> object:
        return fidelity_kernel(circuit, x, parameters=none)

    first = timed(step)
    state = evolve(circuit, x[:2], none).flatten(1)
    expected = float((state[0].conj() @ state[1]).abs() ** 2)
    found = float(fidelity_kernel(circuit, x, parameters=none)[0, 1])
    if not abs(found - expected) <= TOLERANCE:
        raise Disagreement(f"kernel: {found}, expected {expected}")
    times = [burst(step) / 1000 for _ in range(repeats)]
    return head | {"first_s": first / 1000, "seconds": statistics.median(times)}
