"""Arithmetic a second, as a share of what the machine does in a complex matrix product.

Two counts. *Executed*: the operations that our plan needs by its own account (``engine.explain``); trigonometry,
overhead and whatever else is done beside them do not count, so this share says how well the machine is used.
*Gate by gate*: what the plain adjoint method would need, for comparison with other libraries; a plan that
finds a way around the arithmetic can exceed one. For one sample:

- the encoder's RY is fused with the rotation behind it, which leaves one complex 2x2 gate per qubit and
  layer, ``n L`` in all; CNOTs only move amplitudes and count zero;
- a 2x2 gate on ``2**n`` amplitudes is ``2 * 2**n`` complex multiply-adds of 8 real operations: ``16 * 2**n``;
- forward: every gate once;
- gradient, by the adjoint method: every gate forwards, undone on psi, undone on lambda, and the 2x2
  environment ``sum lambda_i* psi_j``, which costs as much again: four times the forward count.

The product is rated by its fastest turn, ours by the median, so that a disturbed run can only lower our share.
"""

from __future__ import annotations

import statistics

import torch

from perf.compare import Row
from perf.options import Options
from perf.peers import ours
from perf.timing import in_turns
from perf.workload import Workload
from robustq import engine

WORKS = tuple(Workload(n, 6, 256) for n in (4, 8, 10, 12))
GATE_FLOPS, COMPLEX_MULTIPLY_ADD = 16, 8


def forward_flops(work: Workload) -> int:
    """Real operations of the expectations of a batch, gate by gate."""
    gates = work.qubits * work.layers * work.batch
    return GATE_FLOPS * gates << work.qubits


def gradient_flops(work: Workload) -> int:
    """Real operations of the loss and its gradient, gate by gate."""
    return 4 * forward_flops(work)


def flops(options: Options) -> list[Row]:
    """One row per size."""
    return [measure(work, options.repeats) for work in options.resize(WORKS)]


def measure(work: Workload, repeats: int, side: int = 1024) -> Row:
    """Our forward and gradient calls, and a complex64 product of ``side`` by ``side``, in turns."""
    matrix = torch.randn(side, side, dtype=torch.complex64, generator=torch.Generator())
    (x, theta, _), circuit, observables = work.data(), work.circuit(), work.observables()
    flat = theta.flatten()

    def forward() -> object:
        return engine.expectations(circuit, observables, inputs=x, parameters=flat)

    steps = {"matmul": lambda: matrix @ matrix, "forward": forward, "gradient": ours.trained(work)}
    counts = {
        "matmul": COMPLEX_MULTIPLY_ADD * side**3,
        "forward": forward_flops(work),
        "gradient": gradient_flops(work),
    }
    times = in_turns(steps, repeats)
    taken = {name: statistics.median(values) for name, values in times.items()}
    taken["matmul"] = min(times["matmul"])
    rates = {name: counts[name] / milliseconds / 1e6 for name, milliseconds in taken.items()}
    plan = engine.explain(circuit, batch=work.batch)
    executed = {"forward": plan.forward, "gradient": plan.gradient}
    shares = {
        f"executed_{name}_share": count * work.batch / taken[name] / 1e6 / rates["matmul"]
        for name, count in executed.items()
    }
    return {
        "subject": "flops",
        "qubits": work.qubits,
        "layers": work.layers,
        "batch": work.batch,
        **{f"{name}_gflops": rate for name, rate in rates.items()},
        "forward_share": rates["forward"] / rates["matmul"],
        "gradient_share": rates["gradient"] / rates["matmul"],
        **shares,
    }
