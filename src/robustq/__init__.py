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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustq import (
        attacks,
        audit,
        bench,
        certify,
        circuits,
        data,
        defences,
        engine,
        mitigation,
        models,
        noise,
        report,
        stats,
        threats,
        uncertainty,
    )
    from robustq.attacks import run_attack
    from robustq.attacks import run_attack as attack
    from robustq.bench import assess, codesign, defend, parse, read, transfer
    from robustq.bench.calibration import calibrated as calibrate
    from robustq.defences.saved import load, save
    from robustq.errors import RobustQError
    from robustq.models import Training, fit
    from robustq.poisoning import poison
    from robustq.tampering import tamper

__all__ = [
    "RobustQError",
    "Training",
    "assess",
    "attack",
    "attacks",
    "audit",
    "bench",
    "calibrate",
    "certify",
    "circuits",
    "codesign",
    "data",
    "defences",
    "defend",
    "engine",
    "fit",
    "load",
    "mitigation",
    "models",
    "noise",
    "parse",
    "poison",
    "read",
    "report",
    "run_attack",
    "save",
    "stats",
    "tamper",
    "threats",
    "transfer",
    "uncertainty",
]

# Where the verbs are; every other name is a part of the package. Each is imported when it is first asked for.
_HOMES = {
    "RobustQError": "robustq.errors",
    "Training": "robustq.models",
    "assess": "robustq.bench",
    "attack": "robustq.attacks:run_attack",
    "calibrate": "robustq.bench.calibration:calibrated",
    "codesign": "robustq.bench",
    "defend": "robustq.bench",
    "fit": "robustq.models",
    "load": "robustq.defences.saved",
    "parse": "robustq.bench",
    "poison": "robustq.poisoning",
    "read": "robustq.bench",
    "run_attack": "robustq.attacks",
    "save": "robustq.defences.saved",
    "tamper": "robustq.tampering",
    "transfer": "robustq.bench",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _, attribute = _HOMES.get(name, "").partition(":")
    value = getattr(import_module(home), attribute or name) if home else import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
