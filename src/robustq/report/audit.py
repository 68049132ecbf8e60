"""What the audit found, arranged for a page or a terminal: flags once each, and a state for every check."""

from __future__ import annotations

from dataclasses import dataclass

from robustq.audit import AUDITS, Evidence, judge, measured
from robustq.bench import Results

PASSED, FLAGGED, SKIPPED = "passed", "flag", "not measured"


@dataclass(frozen=True)
class SharedFlag:
    """One flag with everyone it was raised about in the same words.

    >>> SharedFlag("below-majority", "red", "5 of 10", ("QNN",)).subjects
    ('QNN',)
    """

    id: str
    level: str
    message: str
    subjects: tuple[str, ...]


def group_flags(results: Results) -> list[SharedFlag]:
    """The flags, red first, one that many share once."""
    subjects: dict[tuple[str, str, str], list[str]] = {}
    for flag in sorted(results.flags, key=lambda flag: flag.level != "red"):
        subjects.setdefault((flag.id, flag.level, flag.message), []).append(flag.subject)
    return [SharedFlag(*key, tuple(names)) for key, names in subjects.items()]


def states(evidence: Evidence) -> dict[str, str]:
    """For each check of the catalogue whether it passed, raised its flag, or was not measured.

    >>> states(Evidence(labels=(5, 5), correct=9))["below-majority"]
    'passed'
    """
    raised = {flag.id for flag in judge(evidence)}
    return {
        name: FLAGGED if name in raised else PASSED if measured(name, evidence) else SKIPPED
        for name, entry in AUDITS.items()
        if not entry.null
    }


def tally(results: Results) -> str:
    """How much was checked, in words."""
    all_states = [states(evidence) for evidence in results.audited().values()]
    if not all_states:
        return "This run holds no evidence to audit."
    several = list(all_states[0])
    seen = [name for name in several if any(s[name] != SKIPPED for s in all_states)]
    missing = [name for name in several if name not in seen]
    left = f"; not measured: {', '.join(missing)}" if missing else ""
    return f"{len(seen)} of {len(several)} checks on {len(all_states)} models{left}."
