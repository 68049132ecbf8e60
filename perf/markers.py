"""Measured text and its place in a page that is written by hand."""

from __future__ import annotations


def markers(name: str) -> tuple[str, str]:
    """The comments between which the results called ``name`` stand."""
    return f"<!-- {name}: results begin -->", f"<!-- {name}: results end -->"


def inject(text: str, block: str, name: str = "perf") -> str:
    """``text`` with ``block`` between its markers, whatever stood there before."""
    opening, closing = markers(name)
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"expected the markers {opening} and {closing} in the page")
    return f"{before}{opening}\n\n{block.strip()}\n\n{closing}{after}"
