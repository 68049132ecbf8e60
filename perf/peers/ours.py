"""Ours: the engine's gradient, and the gradient of a frozen model."""

from __future__ import annotations

from torch import Tensor

from perf.peers.torch_step import gradient_step
from perf.workload import Step, Workload
from robustq import engine


def make(work: Workload) -> Step:
    """The engine where parameters are trained, a frozen model where only inputs move."""
    return trained(work) if work.trains else frozen(work)


def trained(work: Workload) -> Step:
    """``engine.expectations``, exact, with or without noise."""
    circuit, observables, noise = work.circuit(), work.observables(), work.noise_model()

    def scores(x: Tensor, theta: Tensor) -> Tensor:
        flat = theta.flatten()
        return engine.expectations(circuit, observables, inputs=x, parameters=flat, noise=noise)

    return gradient_step(scores, work)


def frozen(work: Workload) -> Step:
    """``engine.FrozenModel``, made once, outside the call: what an attack uses."""
    theta = work.data()[1].flatten()
    model = engine.FrozenModel(work.circuit(), work.observables(), theta, noise=work.noise_model())
    return gradient_step(lambda x, _: model(x), work)
