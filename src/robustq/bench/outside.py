"""What a specification names that is not in the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from robustq.outsiders import is_outside, package_of

NAMING = ("name", "names", "models", "defences")  # keys whose values are names of catalogues


def outsiders(spec: BaseModel | Mapping[str, Any]) -> list[str]:
    """The names of the form ``module:attribute`` in a specification, each once, in order.

    >>> outsiders({"attack": {"name": "lab.attacks:BIM"}, "title": "lab:BIM"})
    ['lab.attacks:BIM']
    """
    content = spec.model_dump() if isinstance(spec, BaseModel) else spec
    return sorted(set(_named(content)))


def _named(content: Any) -> Iterator[str]:
    """``readout+lab.mitigation:Mine`` names two techniques."""
    if isinstance(content, list):
        for part in content:
            yield from _named(part)
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _named(value)
            for name in value if isinstance(value, list) else [value]:
                if key in NAMING and isinstance(name, str):
                    yield from filter(is_outside, name.split("+"))


def packages(spec: BaseModel | Mapping[str, Any]) -> list[str]:
    """The packages that whoever wrote a specification trusts to be run.

    >>> packages({"attack": {"name": "lab.attacks:BIM"}, "data": {"name": "iris"}})
    ['lab']
    """
    return sorted(set(map(package_of, outsiders(spec))))
