"""The simulator: one entry point, exact or with shots, pure or noisy, differentiable."""

from robustq.engine.expectations import METHODS, expectations, settings
from robustq.engine.frozen import FrozenModel
from robustq.engine.statevector import evolve

__all__ = ["METHODS", "FrozenModel", "evolve", "expectations", "settings"]
