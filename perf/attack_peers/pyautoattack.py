"""AutoAttack (Croce & Hein, ICML 2020) as packaged in pyautoattack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from perf.scenes import Scene
from robustq.threats import Linf


def _search(targets: bool = False, **options: Any) -> Callable[[Scene], Tensor]:
    def search(scene: Scene) -> Tensor:
        from pyautoattack import AutoAttack

        norm = "Linf" if isinstance(scene.threat, Linf) else "L2"
        attack = AutoAttack(scene.twin, norm=norm, eps=scene.threat.eps, seed=0, **options)
        if targets:
            attack.fab.n_target_classes = scene.classes - 1
            attack.apgd_targeted.n_target_classes = scene.classes - 1
        found, _ = attack.run_standard_evaluation(scene.images, scene.y, batch_size=256)
        tensor: Tensor = found
        return tensor

    return search


BOTH = {
    "standard": _search(version="standard"),
    "standard, every other class a target": _search(targets=True, version="standard"),
    "APGD-CE": _search(version="custom", attacks=["apgd-ce"]),
    "FAB": _search(version="custom", attacks=["fab"]),
    "Square, 5000 queries": _search(version="custom", attacks=["square"]),
    "APGD-CE, FAB, Square": _search(version="custom", attacks=["apgd-ce", "fab", "square"]),
}
ATTACKS = {"linf": BOTH, "l2": BOTH}
