"""What a catalogue is: a literal dict from a name to an :class:`Entry`.

Each family (data, models, attacks, defences, ...) keeps one such dict in its own
``catalogue.py``. Names are resolved only by ``bench`` and ``cli``; everywhere else
attacks, threats and models are passed as values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustq.errors import unknown_name


@dataclass(frozen=True)
class Entry:
    """One line of a catalogue.

    Attributes:
        make: builds the thing; its keyword arguments are the thing's options.
        summary: one sentence for ``robustq list`` and the documentation.
        reference: where the method or the data comes from.
        facts: what else a reader would ask (knowledge, cost, licence), name -> value.
        null: true for the member that does nothing.

    >>> Entry(make=dict, summary="an empty dict", reference="-").null
    False
    """

    make: Callable[..., Any]
    summary: str
    reference: str
    facts: Mapping[str, str] = field(default_factory=dict)
    null: bool = False


def resolve(kind: str, name: str, entries: Mapping[str, Entry]) -> Entry:
    """The entry called ``name``, or an error that suggests the nearest name.

    >>> resolve("toy", "a", {"a": Entry(dict, "nothing", "-")}).summary
    'nothing'
    """
    if not isinstance(name, str) or name not in entries:
        raise unknown_name(kind, name, entries)
    return entries[name]
