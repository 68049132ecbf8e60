"""The Adversarial Robustness Toolbox (Nicolae et al., arXiv:1807.01069), its strongest settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perf.scenes import Scene
from robustq.threats import Linf

ROWS = 256  # a batch holds every row


def _budget(scene: Scene) -> dict[str, Any]:
    norm = np.inf if isinstance(scene.threat, Linf) else 2
    return {"norm": norm, "eps": scene.threat.eps, "batch_size": ROWS}


def _auto_pgd(loss: str) -> Callable[[Any, Scene], Any]:
    def make(classifier: Any, scene: Scene) -> Any:
        from art.attacks.evasion import AutoProjectedGradientDescent

        return AutoProjectedGradientDescent(
            classifier,
            eps_step=2 * scene.threat.eps,
            max_iter=100,
            nb_random_init=5,
            loss_type=loss,
            verbose=False,
            **_budget(scene),
        )

    return make


def _auto_attack(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import AutoAttack

    return AutoAttack(classifier, eps_step=2 * scene.threat.eps, **_budget(scene))


def _pgd(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch

    return ProjectedGradientDescentPyTorch(
        classifier,
        eps_step=0.025 * scene.threat.eps,
        max_iter=100,
        num_random_init=5,
        verbose=False,
        **_budget(scene),
    )


def _deep_fool(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import DeepFool

    return DeepFool(classifier, max_iter=100, batch_size=ROWS, verbose=False)


def _square(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import SquareAttack

    return SquareAttack(classifier, max_iter=2000, verbose=False, **_budget(scene))


def _hop_skip_jump(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import HopSkipJump

    norm = _budget(scene)["norm"]
    return HopSkipJump(classifier, norm=norm, max_iter=10, max_eval=1000, verbose=False)


def _carlini(classifier: Any, scene: Scene) -> Any:
    from art.attacks.evasion import CarliniL2Method

    return CarliniL2Method(classifier, max_iter=100, binary_search_steps=9, batch_size=ROWS, verbose=False)


def _search(make: Callable[[Any, Scene], Any]) -> Callable[[Scene], Tensor]:
    def search(scene: Scene) -> Tensor:
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(
            scene.twin,
            loss=torch.nn.CrossEntropyLoss(),
            input_shape=scene.shape,
            nb_classes=scene.classes,
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        found = make(classifier, scene).generate(scene.images.numpy(), scene.y.numpy())
        return torch.as_tensor(found, dtype=scene.x.dtype)

    return search


BOTH = {
    "AutoAttack": _search(_auto_attack),
    "APGD 100 x 5, cross-entropy": _search(_auto_pgd("cross_entropy")),
    "APGD 100 x 5, DLR": _search(_auto_pgd("difference_logits_ratio")),
    "PGD 100 x 5": _search(_pgd),
    "Square, 2000 queries": _search(_square),
    "HopSkipJump, 10 steps": _search(_hop_skip_jump),
}
LENGTH = {"Carlini-Wagner, 9 x 100": _search(_carlini), "DeepFool": _search(_deep_fool)}
ATTACKS = {"linf": BOTH, "l2": {**BOTH, **LENGTH}}
