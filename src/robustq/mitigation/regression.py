"""Learned mitigation: a regressor from noisy values and the circuit to ideal values.

Liao, Wang, Sitdikov, Salcedo, Seif & Minev, "Machine learning for practical quantum error mitigation", Nature
Machine Intelligence 6, 1478 (2024).
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustq.circuits import Circuit
from robustq.circuits.gates import GATES
from robustq.errors import DataError, unknown_name
from robustq.mitigation.near_clifford import angles, training_circuits
from robustq.mitigation.plan import Function, Plan, Problem, Run

Array = NDArray[np.float64]
BINS = 8  # of an angle, over a full turn


@dataclass(frozen=True)
class Learned:
    """A regressor of the error, trained on relatives of the circuit, half their angles rounded to Clifford ones.

    Its features are the noisy values and the sines and cosines of all angles. A forest has no gradient: to a
    gradient attack it is the identity (backward pass differentiable approximation, Athalye et al. 2018).

    Args:
        regressor: ``forest``, ``mlp`` or ``linear`` (ordinary least squares).
        circuits: how many are run to learn.
        kept: share of the angles that stay as they are.

    >>> print(Learned("mlp"))
    learned, mlp on 500 circuits
    """

    regressor: str = "forest"
    circuits: int = 500
    kept: float = 0.5

    def __post_init__(self) -> None:
        if self.regressor not in REGRESSORS:
            raise unknown_name("regressor", self.regressor, REGRESSORS)
        if self.circuits < 10:
            raise DataError(f"learned: expected at least 10 training circuits, got {self.circuits}")

    def __str__(self) -> str:
        return f"learned, {self.regressor} on {self.circuits} circuits"

    def plan(self, problem: Problem) -> Plan:
        """One run, and the regressor."""
        training = training_circuits(problem, self.circuits, self.kept)
        features = torch.cat([training.noisy, *turns(training.angles)], 1).double().cpu().numpy()
        seed = int(torch.randint(2**31, (1,), generator=problem.generator))
        model = fitted(self.regressor, features, (training.ideal - training.noisy).double().cpu().numpy(), seed)
        run = problem.run

        def combine(parts: Sequence[Tensor]) -> Tensor:
            (seen,) = parts
            noisy = seen[:, : len(run.observables)]
            # detached: backwards the correction is a constant, and the gradient that of the noisy values
            missing = torch.as_tensor(predict(model, seen.detach().double().cpu().numpy()))
            return noisy + missing.to(noisy)

        plan = Featured(run, problem.parameters.detach())
        return Plan((plan,), combine, linear=False, training=self.circuits * run.circuits)


@dataclass(frozen=True, eq=False)
class Featured:
    """A run whose values are followed by the features of its angles."""

    run: Run
    parameters: Tensor

    @property
    def circuits(self) -> int:
        """Of the run; features cost nothing."""
        return self.run.circuits

    def _with(self, values: Tensor, inputs: Tensor, parameters: Tensor) -> Tensor:
        with torch.no_grad():
            own = angles(self.run.circuit, inputs, parameters.detach().to(inputs.dtype))
        return torch.cat([values, *turns(own)], 1)

    def values(
        self,
        inputs: Tensor,
        parameters: Tensor,
        *,
        shots: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Values and features, ``(batch, observables + 2 angles)``."""
        seen = self.run.values(inputs, parameters, shots=shots, generator=generator)
        return self._with(seen, inputs, parameters)

    def frozen(self, parameters: Tensor) -> Function:
        """See :class:`robustq.mitigation.plan.Runnable`."""
        inner = self.run.frozen(parameters)
        return lambda x: self._with(inner(x), x, parameters)

    def sampled(self, parameters: Tensor, shots: int, generator: torch.Generator) -> Function:
        """See :class:`robustq.mitigation.plan.Runnable`."""
        inner = self.run.sampled(parameters, shots, generator)
        return lambda x: self._with(inner(x), x, parameters)


def turns(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of angles, which know that a full turn is none."""
    return torch.cos(angles), torch.sin(angles)


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.multioutput import MultiOutputRegressor

    # One forest an observable: a tree that serves all of them has too few splits left for each.
    return MultiOutputRegressor(RandomForestRegressor(100, min_samples_leaf=3, random_state=seed))


def _mlp(seed: int) -> Any:
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    net = MLPRegressor(
        hidden_layer_sizes=(64,), alpha=1.0, max_iter=400, early_stopping=True, n_iter_no_change=20, random_state=seed
    )
    return make_pipeline(StandardScaler(), net)


def _linear(seed: int) -> Any:
    from sklearn.linear_model import LinearRegression

    del seed
    return LinearRegression()


REGRESSORS: Mapping[str, Any] = {"forest": _forest, "mlp": _mlp, "linear": _linear}


def fitted(name: str, features: Array, ideal: Array, seed: int) -> Any:
    """A regressor from ``(circuits, features)`` to ``(circuits, observables)``.

    Raises:
        DataError: on values that are not finite.

    >>> model = fitted("linear", np.eye(3), np.arange(3.0)[:, None], 0)
    >>> predict(model, np.eye(3)).round(9).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    if name not in REGRESSORS:
        raise unknown_name("regressor", name, REGRESSORS)
    if not (np.isfinite(features).all() and np.isfinite(ideal).all()):
        raise DataError("learned: expected finite features and values, got NaN or infinity")
    from sklearn.exceptions import ConvergenceWarning

    model = REGRESSORS[name](seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a limit on time, not a failure
        model.fit(features, ideal)
    return model


def predict(model: Any, features: Array) -> Array:
    """Ideal values ``(circuits, observables)`` as the regressor sees them."""
    values: Array = np.asarray(model.predict(features), float).reshape(len(features), -1)
    return values


def circuit_features(circuit: Circuit, at: Array) -> Array:
    """What a regressor is told of a circuit: gates of each kind, depth, and its angles in bins.

    As Liao et al. (2024) do it: how often each gate occurs, and for each rotation gate how many of its angles lie in
    each of ``BINS`` equal parts of a turn.

    Args:
        circuit: any.
        at: every angle of it, ``(angles,)``, in radians.

    >>> from robustq.circuits import Circuit, op
    >>> features = circuit_features(Circuit.of(1, [op("rx", 0, angles=[0.1])]), np.array([0.1]))
    >>> int(features.sum())  # one gate, depth one, one angle
    3
    """
    gates = Counter(o.gate for o in circuit.operations)
    names = [o.gate for o in circuit.operations for _ in o.angles]
    rotations = [name for name, row in GATES.items() if row.parameters]
    binned = np.zeros((len(rotations), BINS))
    places = np.floor((np.asarray(at) % (2 * math.pi)) / (2 * math.pi) * BINS).astype(int) % BINS
    for name, place in zip(names, places, strict=True):
        binned[rotations.index(name), place] += 1
    counts = [gates[name] for name in GATES]
    return np.array([*counts, circuit.depth, *binned.ravel()], float)
