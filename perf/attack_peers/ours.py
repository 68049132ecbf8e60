"""Our own attacks; a further one is a further line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from perf.scenes import Scene
from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.contracts import Attack
from robustq.seeding import torch_generator

OURS: Mapping[str, Attack] = {
    "PGD 100 x 5, cross-entropy": PGD(steps=100, restarts=5, loss="cross-entropy"),
    "PGD 100 x 5, margin": PGD(steps=100, restarts=5, loss="margin"),
    "QuantumAutoAttack": QuantumAutoAttack(),
}


def _search(attack: Attack, scene: Scene) -> Tensor:
    generator = torch_generator(0, "attack")
    found = run_attack(attack, scene.model, scene.x, scene.y, scene.threat, generator=generator)
    return found.x_adv


ANY = {name: partial(_search, attack) for name, attack in OURS.items()}
ATTACKS = {"linf": ANY, "l2": ANY}
