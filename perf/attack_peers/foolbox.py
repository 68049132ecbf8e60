"""Foolbox (Rauber et al., JOSS 2020), many steps and restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from perf.scenes import Scene


def _search(name: str, repeats: int = 1, **options: Any) -> Callable[[Scene], Tensor]:
    def search(scene: Scene) -> Tensor:
        import foolbox

        model = foolbox.PyTorchModel(scene.twin, bounds=(0, 1), device="cpu")
        attack = getattr(foolbox.attacks, name)(**options)
        again = attack.repeat(repeats) if repeats > 1 else attack
        _, found, _ = again(model, scene.images, scene.y, epsilons=scene.threat.eps)
        tensor: Tensor = found
        return tensor

    return search


ATTACKS = {
    "linf": {
        "PGD 100 x 5": _search("LinfPGD", 5, steps=100, rel_stepsize=0.025),
        "Adam-PGD 100 x 5": _search("LinfAdamPGD", 5, steps=100),
        "MI-FGSM 100": _search("LinfMomentumIterativeFastGradientMethod", steps=100, rel_stepsize=0.025),
        "FMN 1000": _search("LInfFMNAttack", steps=1000),
        "DeepFool": _search("LinfDeepFoolAttack", steps=100),
        "Brendel-Bethge 100": _search("LinfinityBrendelBethgeAttack", steps=100),
    },
    "l2": {
        "PGD 100 x 5": _search("L2PGD", 5, steps=100, rel_stepsize=0.025),
        "Adam-PGD 100 x 5": _search("L2AdamPGD", 5, steps=100),
        "Carlini-Wagner, 9 x 500": _search("L2CarliniWagnerAttack", steps=500),
        "DDN 1000": _search("DDNAttack", steps=1000),
        "FMN 1000": _search("L2FMNAttack", steps=1000),
        "DeepFool": _search("L2DeepFoolAttack", steps=100),
        "Brendel-Bethge 100": _search("L2BrendelBethgeAttack", steps=100),
    },
}
