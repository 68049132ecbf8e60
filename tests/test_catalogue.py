"""What the entries of the catalogues say is so: needs, options, and the names of other catalogues."""

import ast
import inspect
from collections import Counter
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

import robustq
from robustq.attacks.catalogue import ATTACKS
from robustq.audit import Evidence
from robustq.audit.catalogue import AUDITS
from robustq.bench.options import check_options, options_of
from robustq.catalogue import UNSTATED, Entry, facts
from robustq.certify.catalogue import CERTIFICATES
from robustq.cli.certify import STATES
from robustq.cli.listing import CATALOGUES, columns
from robustq.errors import SpecError
from robustq.tampering.catalogue import SEARCHES, TAMPERINGS
from robustq.threats.catalogue import THREATS, Distance, Norm

ENTRIES = [(kind, name) for kind, entries in CATALOGUES.items() for name in entries]
FROM_A_SPECIFICATION = ("data", "models", "attacks", "certificates", "defences", "mitigations", "scores")


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_needs_are_the_builders(kind, name):
    entry = CATALOGUES[kind][name]
    taken = inspect.signature(entry.make).parameters
    assert set(entry.needs) == {parameter for parameter in taken if parameter in entry.offers}
    if kind in FROM_A_SPECIFICATION:
        required = {p.name for p in taken.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
        assert required <= {*entry.needs, *options_of(entry)}
        assert not {*entry.needs} & {*options_of(entry)}


@pytest.mark.parametrize("kind", CATALOGUES)
def test_one_family_tells_the_same_of_each(kind):
    entries = CATALOGUES[kind]
    assert len({type(entry) for entry in entries.values()}) == 1
    for entry in entries.values():
        told = facts(entry)
        assert list(told) == columns(entries)
        assert UNSTATED not in told.values()


def test_norms_are_those_of_the_threats():
    assert get_args(Norm) == tuple(THREATS)
    assert {*get_args(Distance)} == {*THREATS, *STATES}
    for entry in ATTACKS.values():
        assert entry.norms is None or {*entry.norms} <= {*THREATS}
    for certificate in CERTIFICATES.values():
        assert certificate.norms is None or {*certificate.norms} <= {*THREATS, *STATES}


def test_names_of_others_exist():
    assert all(entry.search in {**ATTACKS, **SEARCHES} for entry in TAMPERINGS.values())
    known = {part.name for part in fields(Evidence)}
    assert all({*entry.evidence} <= known for entry in AUDITS.values())


def literals():
    """Every dict of entries that is written out in the package: its keys, and what they build."""
    for path in Path(robustq.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict) and node.values and all(map(is_entry, node.values)):
                yield path, node


def is_entry(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Entry")


def test_everything_is_in_exactly_one_line():
    """A dict would keep the last of two lines of one name in silence."""
    lines, builders = Counter(), Counter()
    for path, node in literals():
        lines.update((path, key.value) for key in node.keys)
        builders.update((path, ast.dump(value.args[0])) for value in node.values)
    assert max(lines.values()) == max(builders.values()) == 1
    written = Counter(name for _, name in lines)
    listed = Counter(name for kind, name in ENTRIES if kind != "channels")
    listed.update([*SEARCHES])
    assert written == listed


@dataclass(frozen=True)
class Told:
    """One field of each kind."""

    count: int = 1
    width: float = 1.0
    most: int | None = None
    name: str = ""
    scales: tuple[float, ...] = ()
    entry: Entry | None = None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 2.5}, "toy: expected count as a whole number, got 2.5"),
        ({"count": True}, "toy: expected count as a whole number, got True"),
        ({"width": "1"}, "toy: expected width as a number, got '1'"),
        ({"width": float("nan")}, "toy option 'width': expected a finite number, got nan"),
        ({"most": 0.5}, "toy: expected most as a whole number, got 0.5"),
        ({"name": 3}, "toy: expected name as a word, got 3"),
        ({"entry": None}, "unknown toy option 'entry': Known: count, most, name, scales, width"),
        ({"cuont": 3}, "unknown toy option 'cuont': did you mean 'count'?"),
    ],
)
def test_options_are_checked_by_type(options, message):
    for make in (Told, partial(Told)):
        with pytest.raises(SpecError) as caught:
            check_options("toy", Entry(make, "-", "-"), options)
        assert message in str(caught.value)


def test_options_that_suit_are_taken():
    entry = Entry(Told, "-", "-")
    check_options("toy", entry, {"count": 2, "width": 1, "most": None, "name": "a", "scales": [1.0]})
    check_options("toy", entry, {"most": 3, "width": 0.5})
    assert "count" not in options_of(Entry(Told, "-", "-", needs=("count",)))
