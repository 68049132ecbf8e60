"""Isolation forest (Liu, Ting & Zhou, ICDM 2008): scikit-learn's trees, with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from robustq.defences.detection.detector import Clean, Detector
from robustq.defences.detection.view import View

SOFTNESS = 0.1  # standard deviations of a feature over which a soft split turns


class IsolationForest(Detector):
    """``2^(-mean depth / c)``, equal to scikit-learn's ``-score_samples``: near 1 where few splits isolate.

    The score is a step function, whose gradient would hide it from an attack. Backwards, every split is
    a sigmoid of the distance to its threshold, so that the gradient points to where inputs isolate later.
    """

    kind = "isolation-forest"
    inner: Tensor
    depths: Tensor
    feature: Tensor
    threshold: Tensor
    width: Tensor

    def forward(self, x: Tensor, logits: Tensor, view: View) -> Tensor:
        """The score, float64 ``(batch,)`` in (0, 1)."""
        feature, threshold = self.feature.long().to(x.device), self.threshold.to(x.device)
        # scikit-learn compares inputs rounded to float32 with thresholds of float64
        hard = self._score((x.detach().float().double()[:, feature] > threshold).double())
        if not x.requires_grad:
            return hard
        soft = self._score(torch.sigmoid((x.double()[:, feature] - threshold) / self.width.to(x.device)))
        return hard + (soft - soft.detach())

    def _score(self, right: Tensor) -> Tensor:
        """From the chance of turning right at every split, ``(batch, splits)``."""
        mean_depth: Tensor = self._depth(right) / float(self.options["scale"])
        return torch.exp2(-mean_depth)

    def _depth(self, right: Tensor) -> Tensor:
        """The expected depth summed over the trees, level by level."""
        reach = right.new_ones(len(right), int(self.options["sizes"][0]))
        total, node, split = right.new_zeros(len(right)), 0, 0
        for size in self.options["sizes"]:
            inner = self.inner[node : node + size].bool().to(right.device)
            depths = self.depths[node : node + size].to(right)
            total = total + reach[:, ~inner] @ depths[~inner]
            reach = reach[:, inner]
            go = right[:, split : split + reach.shape[1]]
            node, split = node + size, split + reach.shape[1]
            reach = torch.cat([reach * (1 - go), reach * go], 1)
        return total

    @classmethod
    def fitted(cls, clean: Clean, trees: int = 100) -> Self:
        """By scikit-learn on the inputs; labels play no part."""
        from sklearn.ensemble import IsolationForest as Forest

        seed = int(torch.randint(2**31 - 1, (), generator=clean.generator))
        rows = clean.x.double().cpu().numpy()
        forest = Forest(n_estimators=trees, random_state=seed).fit(rows)
        levels = _levels([estimator.tree_ for estimator in forest.estimators_])
        inner, depths, feature, threshold = (
            torch.as_tensor(np.concatenate([level[k] for level in levels])) for k in range(4)
        )
        width = SOFTNESS * clean.x.double().std(0).cpu().clamp_min(1e-6)[feature.long()]
        scale = trees * float(expected_depth(np.array([forest.max_samples_]))[0])
        return cls(
            {"sizes": [len(level[0]) for level in levels], "scale": scale},
            inner=inner.float(),
            depths=depths,
            feature=feature.float(),
            threshold=threshold,
            width=width,
        )


def expected_depth(rows: np.ndarray) -> np.ndarray:
    """``c(n)``, the mean depth of an unsuccessful search in a binary tree of ``n`` rows (Liu et al., eq. 1).

    >>> expected_depth(np.array([1, 2])).tolist()
    [0.0, 1.0]
    """
    n = rows.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        many = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, many))


def _levels(trees: list[Any]) -> Sequence[tuple[np.ndarray, ...]]:
    """For each level of the forest: which nodes split, depths of leaves, features and thresholds of splits.

    The children of a level's splits follow in one order: all left ones, then all right ones.
    """
    nodes, depth, levels = [(tree, 0) for tree in trees], 0, []
    while nodes:
        inner = np.array([tree.children_left[n] >= 0 for tree, n in nodes])
        rows = np.array([tree.n_node_samples[n] for tree, n in nodes])
        splits = [pair for pair, splits in zip(nodes, inner, strict=True) if splits]
        levels.append(
            (
                inner,
                depth + expected_depth(rows),
                np.array([tree.feature[n] for tree, n in splits], dtype=float),
                np.array([tree.threshold[n] for tree, n in splits], dtype=float),
            )
        )
        lefts = [(tree, tree.children_left[n]) for tree, n in splits]
        nodes = lefts + [(tree, tree.children_right[n]) for tree, n in splits]
        depth += 1
    return levels
