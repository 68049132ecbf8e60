"""RobustQ: the trust stack for quantum machine learning.

Build, train, attack, defend and assess quantum and hybrid classifiers, with numbers that survive
review. Nothing here has a global seed, backend, dtype, device or logger.

>>> import torch, robustq
>>> circuit = robustq.circuits.encodings.angle(2)
>>> circuit = circuit.then(robustq.circuits.ansaetze.brickwork(2))
>>> model = robustq.models.QuantumNet(
...     circuit, robustq.circuits.per_qubit_z(2, 2), generator=torch.Generator().manual_seed(0)
... )
>>> model(torch.zeros(3, 2)).shape
torch.Size([3, 2])
"""

from robustq import attacks, circuits, data, defences, engine, models, noise, stats, threats
from robustq.attacks import run_attack
from robustq.errors import RobustQError
from robustq.models import Training, fit, load, save

__all__ = [
    "RobustQError",
    "Training",
    "attacks",
    "circuits",
    "data",
    "defences",
    "engine",
    "fit",
    "load",
    "models",
    "noise",
    "run_attack",
    "save",
    "stats",
    "threats",
]
