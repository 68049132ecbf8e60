"""Which cases of a parametrised test every run has, and which only ``make prove`` has.

The full product is always collected; what a quick run leaves out carries the mark ``prove``.
"""

from itertools import combinations, product

import pytest


def few(cases, keep=1):
    """The first ``keep`` cases in every run, the others in ``make prove``; a tuple is a case of several values."""
    rows = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*row, marks=() if place < keep else pytest.mark.prove) for place, row in enumerate(rows)]


def pairwise(*axes):
    """Every combination of one value from each axis; any two values that can meet do so in a quick run.

    Which ones are quick is chosen greedily, the combination with the most pairs not yet met first. An axis is
    a dictionary from id to value, or the values themselves.
    """
    named = [axis if isinstance(axis, dict) else {str(value): value for value in axis} for axis in axes]
    rows = list(product(*named))
    pairs = {row: set(combinations(enumerate(row), 2)) for row in rows}
    missing, quick = set().union(*pairs.values()), set()
    while missing:
        best = max(rows, key=lambda row: len(pairs[row] & missing))
        quick.add(best)
        missing -= pairs[best]
    return [
        pytest.param(
            *(axis[name] for axis, name in zip(named, row, strict=True)),
            id="-".join(row),
            marks=() if row in quick else pytest.mark.prove,
        )
        for row in rows
    ]
