"""The [[4,2,2]] code: two qubits in four, every single error detected (Vaidman, Goldenberg & Wiesner 1996).

Stabilisers ``XXXX`` and ``ZZZZ``; logical ``X_1 = XXII``, ``Z_1 = ZIZI``, ``X_2 = XIXI``, ``Z_2 = ZZII``.
A run whose syndrome is not trivial is thrown away. Under Pauli noise what is left is a Pauli channel on the
logical pair, and the share of runs that is left does not depend on the state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from robustq.circuits.gates import pauli_matrix
from robustq.errors import CircuitError
from robustq.noise.channels import Channel

STABILISERS = ("XXXX", "ZZZZ")
LOGICAL_X = ("XXII", "XIXI")
LOGICAL_Z = ("ZIZI", "ZZII")


def commute(first: str, second: str) -> bool:
    """Whether two Pauli words of one length commute.

    >>> commute("XX", "ZZ"), commute("XI", "ZI")
    (True, False)
    """
    differ = sum("I" not in (a, b) and a != b for a, b in zip(first, second, strict=True))
    return differ % 2 == 0


@dataclass(frozen=True)
class Detected:
    """What a detecting code leaves of the noise of its qubits.

    Attributes:
        acceptance: share of the runs without an alarm.
        words: chance of each logical Pauli word among those runs, ``"II"`` included.
    """

    acceptance: float
    words: Mapping[str, float]

    @property
    def channel(self) -> Channel:
        """The logical channel on the pair."""
        kraus = [math.sqrt(p) * pauli_matrix(word) for word, p in self.words.items() if p > 0]
        return Channel("kraus", *kraus)

    @property
    def error(self) -> float:
        """Chance of any logical error in an accepted run."""
        return 1 - self.words["II"]


@lru_cache(maxsize=256)
def detected(px: float, py: float, pz: float) -> Detected:
    """The [[4,2,2]] code when each of its qubits meets X, Y or Z with these chances, independently.

    Exact, by adding up all 256 errors. Encoding, syndrome and decoding are taken as perfect. At least
    a quarter of the runs is accepted, whatever the noise.

    Raises:
        CircuitError: if they are no chances.

    >>> outcome = detected(0.01, 0.0, 0.0)
    >>> round(outcome.acceptance, 6), round(outcome.error, 6)
    (0.961184, 0.000612)
    """
    if min(px, py, pz) < 0 or px + py + pz > 1 + 1e-12:
        raise CircuitError(f"[[4,2,2]]: expected chances of sum <= 1, got {(px, py, pz)}")
    chance = {"I": max(0.0, 1 - px - py - pz), "X": px, "Y": py, "Z": pz}
    words = dict.fromkeys(map("".join, itertools.product("IXYZ", repeat=2)), 0.0)
    for letters in itertools.product("IXYZ", repeat=4):
        word = "".join(letters)
        if all(commute(word, s) for s in STABILISERS):
            words[logical(word)] += math.prod(chance[letter] for letter in letters)
    acceptance = math.fsum(words.values())
    return Detected(acceptance, {word: p / acceptance for word, p in words.items()})


def logical(word: str) -> str:
    """The logical Pauli word that an undetected error amounts to.

    >>> logical("XXXX"), logical("XXII"), logical("YYII")
    ('II', 'XI', 'XZ')
    """
    letters = {(False, False): "I", (True, False): "X", (True, True): "Y", (False, True): "Z"}
    return "".join(
        letters[not commute(word, z), not commute(word, x)] for x, z in zip(LOGICAL_X, LOGICAL_Z, strict=True)
    )
