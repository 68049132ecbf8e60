"""Noise models as data: exact round trips, anything else refused."""

import json

import numpy as np
import pytest

from robustq.errors import DataError
from robustq.noise import Channel, Device, NoiseModel, Readout, Rule
from robustq.noise.serial import noise_from_data, noise_to_data

X = np.array([[0, 1], [1, 0]])
MODELS = {
    "nothing": NoiseModel(),
    "uniform": NoiseModel.uniform(gate_error=0.01, readout_error=0.02),
    "matrices": NoiseModel((Rule(Channel("kraus", np.sqrt(0.9) * np.eye(2), 1j * np.sqrt(0.1) * X)),)),
    "words": NoiseModel((Rule(Channel("over-rotation", axis="x", angle=0.1), gates=("cx",), qubits=(1,)),)),
    "spectators": NoiseModel(
        (Rule(Channel("zz-crosstalk", 0.2), qubits=(0, 1), width=2, on=(1, 2)),),
        readouts=((1, Readout(0.1, 0.2)),),
        couplings=((0, 1), (1, 2)),
    ),
    "device": Device.bundled("manila").noise([0, 1, 2]),
}


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name):
    data = json.loads(json.dumps(noise_to_data(MODELS[name])))
    assert noise_from_data(data) == MODELS[name]


@pytest.mark.parametrize(
    "change",
    [
        {"rules": [{}]},
        {"rules": None},
        {"readout": ["a"]},
        {"readout": [2.0, 0.0]},
        {"couplings": [[1]]},
        {"rules": [{"channel": ["depolarsing", 0.1], "gates": [], "qubits": [], "width": None, "on": []}]},
    ],
)
def test_anything_else_is_refused(change):
    with pytest.raises(DataError, match="expected a noise model as data"):
        noise_from_data({**noise_to_data(NoiseModel()), **change})
