"""The attacks that are compared, by library, norm and name; every library but ours is optional.

To add a library: a file with ``ATTACKS[norm][name] = search`` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor

from perf.attack_peers import art, foolbox, ours, pyautoattack
from perf.scenes import Scene

OURS = "robustq"
Search = Callable[[Scene], Tensor]


@dataclass(frozen=True)
class Library:
    """One library's attacks.

    Attributes:
        attacks: by norm and name; each returns a candidate for every row.
        needs: the module it imports.
    """

    attacks: Mapping[str, Mapping[str, Search]]
    needs: str

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return find_spec(self.needs) is None


LIBRARIES: Mapping[str, Library] = {
    OURS: Library(ours.ATTACKS, "robustq"),
    "ART": Library(art.ATTACKS, "art"),
    "Foolbox": Library(foolbox.ATTACKS, "foolbox"),
    "pyautoattack": Library(pyautoattack.ATTACKS, "pyautoattack"),
}
