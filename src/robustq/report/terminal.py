"""The parts of which every summary for the terminal is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> Table:
    """A titled table; what stands in brackets is no mark-up.

    Args:
        title: above the table.
        columns: their heads.
        rows: their cells.
        names: so many columns stand on the left, the numbers after them on the right.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, "table.title"), title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(Text(name), justify="left" if place < names else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def make_lines(lines: Iterable[str], style: str = "", indent: str = "") -> list[Text]:
    """Sentences above or below a table, as they are."""
    from rich.text import Text

    return [Text(indent + line, style) for line in lines]


def make_notes(lines: Iterable[str]) -> list[Text]:
    """What a reader must know before using a number."""
    return make_lines(lines, "dim", "  note: ")
