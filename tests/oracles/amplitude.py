"""The closed-form oracle of amplitude encoding: logits are quadratic forms of the features.

Logits are ``x^T M_k x / x^T x``, so class k beats class y beyond the cone ``x^T W x = 0``,
``W = M_y - M_k``. The nearest point of a cone is a problem with one quadratic constraint, which has no
duality gap (S-lemma; Boyd & Vandenberghe, appendix B): it is ``(I + t W)^-1 x`` at the root ``t`` of a
decreasing function. Written in NumPy, apart from everything the library does.
"""

import numpy as np


def radius(forms, points, labels):
    """Exact l2 radius of each correctly classified point, ``(batch,)``."""
    found = []
    for x, y in zip(points, labels, strict=True):
        others = [k for k in range(len(forms)) if k != y]
        found.append(min(to_cone(forms[y] - forms[k], x)[0] for k in others))
    return np.array(found)


def to_cone(form, x):
    """Distance to the nearest point with ``x'^T W x' <= 0``, and that point; inf and None without one."""
    values, vectors = np.linalg.eigh(form)
    c = vectors.T @ x
    if (values * c**2).sum() <= 0:
        return 0.0, x
    if values[0] >= 0:
        return np.inf, None
    limit = -1 / values[0]
    low, high = 0.0, limit
    for _ in range(200):
        middle = (low + high) / 2
        above = (values * c**2 / (1 + middle * values) ** 2).sum() > 0
        low, high = (middle, high) if above else (low, middle)
    if low < limit * (1 - 1e-12):
        near = c / (1 + low * values)
        return np.linalg.norm(near - c), vectors @ near
    return _hard_case(values, vectors, c, limit)


def _hard_case(values, vectors, c, limit):
    """``x`` has nothing along the lowest eigenvector: any of two points to either side is nearest."""
    lowest = values <= values[0] * (1 - 1e-9)
    near = np.where(lowest, 0.0, c / np.where(lowest, 1.0, 1 + limit * values))
    missing = (values * near**2).sum() / -values[0]
    near[0] = np.sqrt(max(missing, 0.0))
    return np.linalg.norm(near - c), vectors @ near
