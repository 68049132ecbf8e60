"""What a catalogue is: a literal dict from a name to an :class:`Entry`.

Each family (data, models, attacks, defences, ...) keeps one such dict in its own ``catalogue.py``, and an
:class:`Entry` of its own with what there is to know about its members. Names are resolved only by ``bench`` and
``cli``; everywhere else attacks, threats and models are passed as values.

A name such as ``"package.module:MyAttack"`` is no line of a catalogue: it is imported, see :mod:`robustq.outsiders`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from robustq.errors import SpecError, unknown_name
from robustq.outsiders import imported, is_outside, provenance

T = TypeVar("T", covariant=True)
E = TypeVar("E", bound="Entry[Any]")
UNSTATED: Final = "not stated"


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One line of a catalogue; a family adds what else a reader would ask, typed.

    Attributes:
        make: builds the thing; its keyword arguments are the thing's options.
        summary: one sentence for ``robustq list`` and the documentation.
        reference: where the method or the data comes from.
        null: true for the member that does nothing.
        needs: parameters of ``make`` that are no options: the framework fills them in.

    >>> Entry(make=dict, summary="an empty dict", reference="-").null
    False
    """

    make: Callable[..., T]
    summary: str
    reference: str
    null: bool = field(default=False, kw_only=True)
    needs: tuple[str, ...] = field(default=(), kw_only=True)

    offers: ClassVar[tuple[str, ...]] = ()  # what the framework has for the builders of this family
    outside: ClassVar[tuple[Any, ...]] = ()  # what an outsider's builder makes; none: the family is closed

    @classmethod
    def of_outsider(cls, make: Callable[..., Any], summary: str, reference: str) -> Self:
        """The entry of what is in no catalogue: nothing is known of it, so everything is asked of it."""
        parameters = inspect.signature(make).parameters
        needs = tuple(name for name in cls.offers if name in parameters)
        return cls(make, summary, reference, needs=needs)


def resolve(kind: str, name: str, entries: Mapping[str, E]) -> E:
    """The entry called ``name``: a line of the catalogue, or an outsider's ``module:attribute``.

    Raises:
        SpecError: on an unknown name, with the nearest that is known; where a module or its attribute is not to
            be found, or is nothing of this kind.

    >>> resolve("toy", "a", {"a": Entry(dict, "nothing", "-")}).summary
    'nothing'
    """
    if isinstance(name, str) and name in entries:
        return entries[name]
    family = type(next(iter(entries.values())))
    if not is_outside(name) or not family.outside:
        raise unknown_name(kind, name, entries)
    target = imported(kind, name)
    if isinstance(target, family):
        return target
    if isinstance(target, Entry) or not callable(target):
        got = f"an {type(target).__name__}" if isinstance(target, Entry) else type(target).__name__
        raise SpecError(f"{kind} {name!r}: expected a class, a function or {family.__name__}(...), got {got}")
    return family.of_outsider(_checked(kind, name, target, family), f"of {name}", provenance(name))


def _checked(kind: str, name: str, make: Callable[..., Any], family: type[Entry[Any]]) -> Callable[..., Any]:
    """The builder, refusing what is not of the family."""

    @wraps(make)
    def build(*args: Any, **options: Any) -> Any:
        try:
            inspect.signature(make).bind(*args, **options)
        except TypeError as failure:
            raise SpecError(f"{kind} {name!r}: {failure}") from failure
        built = make(*args, **options)
        if not isinstance(built, family.outside):
            expected = " or ".join(map(_promise, family.outside))
            raise SpecError(f"{kind} {name!r}: expected {expected}, got {type(built).__name__}")
        return built

    return build


def _promise(kind: type) -> str:
    """A protocol by what it asks for, any other class by its name."""
    members = [m for m, member in vars(kind).items() if callable(member) and not m.startswith("_")]
    return f"something with {members[0]}()" if getattr(kind, "_is_protocol", False) else f"a {kind.__name__}"


def facts(entry: Entry[Any]) -> dict[str, str]:
    """What a family says of its member beyond summary and reference, in words.

    >>> facts(Entry(make=dict, summary="an empty dict", reference="-"))
    {}
    """
    common = {part.name for part in fields(Entry)}
    own = [part.name for part in fields(entry) if part.name not in common]
    return {name.replace("_", " "): _in_words(getattr(entry, name)) for name in own}


def _in_words(value: object) -> str:
    if value is None:
        return "any"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:.1e}" if isinstance(value, float) else str(value)
