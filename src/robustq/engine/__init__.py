"""The simulator: one entry point, exact or with shots, pure or noisy, differentiable."""

from robustq.engine.densities import pauli_states
from robustq.engine.expectations import METHODS, expectations, settings
from robustq.engine.explain import Explanation, explain
from robustq.engine.frozen_model import STRATEGIES, FrozenModel
from robustq.engine.kernels import fidelity_kernel, projected_kernel
from robustq.engine.shot_gradients import shot_expectations, shot_gradient
from robustq.engine.shot_model import ShotModel, shifted_circuits
from robustq.engine.spectrum import Extremes, extreme_values
from robustq.engine.statevector import evolve
from robustq.engine.trajectories import trajectory_expectations

__all__ = [
    "METHODS",
    "STRATEGIES",
    "Explanation",
    "Extremes",
    "FrozenModel",
    "ShotModel",
    "evolve",
    "expectations",
    "explain",
    "extreme_values",
    "fidelity_kernel",
    "pauli_states",
    "projected_kernel",
    "settings",
    "shifted_circuits",
    "shot_expectations",
    "shot_gradient",
    "trajectory_expectations",
]
