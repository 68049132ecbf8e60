"""Attacks beside those of other libraries: same models, same rows, same budgets, one judge.

A library only hands in candidates. Whether a row fell is decided here, for ours as for theirs.
"""

from __future__ import annotations

import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from perf.attack_peers import LIBRARIES, OURS, Library
from perf.compare import Row
from perf.options import Options
from perf.scenes import BOX, SUBJECTS, Scene
from robustq.threats import Linf

ROWS, SLACK, TOGETHER = 200, 1e-6, "all together"


class OverLimit(BaseException):
    """The attack used up its time; no library's ``except Exception`` may hide it."""


@dataclass(frozen=True)
class Judged:
    """What one attack's candidates are worth.

    Attributes:
        robust: rows that are correct and were not flipped inside the budget, ``(rows,)`` of bool.
        outside: candidates that flip a correct row but leave the ball or the box; they do not count.
    """

    robust: Tensor
    outside: int


def judge(scene: Scene, candidates: Tensor) -> Judged:
    """The verdict by the model itself, whatever the library says of its own success."""
    found = candidates.detach().reshape(scene.x.shape).to(scene.x)
    far = scene.threat.distance(found, scene.x)
    in_box = ((found >= BOX[0] - SLACK) & (found <= BOX[1] + SLACK)).all(1)
    inside = (far <= scene.threat.eps + SLACK) & in_box
    with torch.no_grad():
        correct = scene.model(scene.x).argmax(1) == scene.y
        finite = torch.where(torch.isfinite(found).all(1, keepdim=True), found, scene.x)
        flipped = correct & (scene.model(finite).argmax(1) != scene.y)
    return Judged(correct & ~(flipped & inside), int((flipped & ~inside).sum()))


def attacks(options: Options) -> list[Row]:
    """One row per model, budget and attack, and one per library for all its attacks together."""
    rows: list[Row] = []
    for name, subject in SUBJECTS.items():
        for scene in subject.scenes(options.batch or ROWS):
            rows += [_head(name, scene) | row for row in _against(scene, options)]
    return rows


def _head(name: str, scene: Scene) -> Row:
    return {"subject": "attacks", "model": name, "rows": len(scene.x), "threat": str(scene.threat)}


def _against(scene: Scene, options: Options) -> Iterator[Row]:
    clean = judge(scene, scene.x).robust
    yield _line("none", "clean", clean, 0.0)
    chosen = {name: LIBRARIES[name] for name in LIBRARIES if name in _wanted(options)}
    for name, library in chosen.items():
        if library.missing:
            yield {"library": name, "attack": "all", "note": "not installed"}
        else:
            yield from _library(name, library, scene, options.limit_s)


def _wanted(options: Options) -> Sequence[str]:
    return (OURS, *(options.against or tuple(LIBRARIES)))


def _library(name: str, library: Library, scene: Scene, limit_s: float) -> Iterator[Row]:
    together, seconds = judge(scene, scene.x).robust, 0.0
    norm = "linf" if isinstance(scene.threat, Linf) else "l2"
    for attack, search in library.attacks[norm].items():
        print(f"{scene.threat}: {name}: {attack}", file=sys.stderr)
        start = time.perf_counter()
        try:
            with seeded(), _limit(limit_s), quiet():
                candidates = search(scene)
        except OverLimit:
            yield {"library": name, "attack": attack, "note": f"over limit ({limit_s:g} s)"}
        except Exception as failure:  # a crash of theirs is a result, and is shown
            yield {"library": name, "attack": attack, "note": _crash(failure)}
        else:
            found, taken = judge(scene, candidates), time.perf_counter() - start
            together, seconds = together & found.robust, seconds + taken
            yield _line(name, attack, found.robust, taken) | {"outside": found.outside}
    yield _line(name, TOGETHER, together, seconds)


def _line(library: str, attack: str, robust: Tensor, seconds: float) -> Row:
    share = 100 * float(robust.double().mean())
    return {"library": library, "attack": attack, "robust %": round(share, 1), "seconds": seconds}


def _crash(failure: Exception) -> str:
    first = (str(failure).splitlines() or [""])[0]
    return f"crashed: {type(failure).__name__}: {first[:100]}"


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Stop what is inside after so many seconds (where the system has an alarm)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OverLimit

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def seeded() -> Iterator[None]:
    """Other libraries draw from the global generators: seed them, and put them back."""
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of other libraries are about them, not about us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
