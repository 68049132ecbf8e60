"""The failures a user can cause, each with one clear message.

Every error the library raises on bad input derives from :class:`RobustQError`,
itself a ``ValueError``; the command line turns it into one line and exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RobustQError(ValueError):
    """Bad input: the message says what was expected and what came.

    >>> raise RobustQError("expected eps >= 0, got -1")
    Traceback (most recent call last):
        ...
    robustq.errors.RobustQError: expected eps >= 0, got -1
    """


class SpecError(RobustQError):
    """A specification (TOML, JSON or keyword) holds a wrong key, type, name or value."""


class CircuitError(RobustQError):
    """A circuit, gate, angle or observable is not well formed."""


class DataError(RobustQError):
    """Data is missing, damaged, of the wrong shape, or not finite."""


class ThreatError(RobustQError):
    """A threat is impossible (negative eps) or does not contain the data it is used on."""


class ModelError(RobustQError):
    """A model cannot do what is asked of it (no input gradients, wrong width, not finite)."""


class CertificateError(RobustQError):
    """A certificate was refuted by a witness, or does not apply to the model or the threat."""


class ModelFileError(RobustQError):
    """A saved model is missing, incomplete or altered."""


class RunError(RobustQError):
    """A run folder is missing, incomplete or belongs to another specification."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SpecError:
    """The error for a name that no catalogue holds, with the nearest that one does.

    >>> str(unknown_name("attack", "pdg", ["fgsm", "pgd"]))
    "unknown attack 'pdg': did you mean 'pgd'? Known: fgsm, pgd"
    """
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return SpecError(f"unknown {kind} {name!r}: {hint}Known: {', '.join(names)}")
