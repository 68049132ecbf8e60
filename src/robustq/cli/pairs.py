"""Words of the command line that carry a value: ``name=value`` and ``threat:eps``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from robustq.errors import SpecError


def parse_options(pairs: Iterable[str], example: str) -> dict[str, Any]:
    """``["p=0.1"]`` as ``{"p": 0.1}``: JSON or a number where it is one, otherwise text.

    Raises:
        SpecError: where there is no ``=``; the sentence ends with the ``example``.

    >>> parse_options(["sigma=.25", "kinds=[1, 2]", "at-most=3", "norm=l2"], "sigma=0.25")
    {'sigma': 0.25, 'kinds': (1, 2), 'at_most': 3, 'norm': 'l2'}
    """
    options = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SpecError(f"--set: expected NAME=VALUE such as {example}, got {pair!r}")
        options[name.strip().replace("-", "_")] = _value(text.strip())
    return options


def _value(text: str) -> Any:
    for parse in (json.loads, float):
        try:
            return _as_tuples(parse(text))
        except ValueError:
            continue
    return text


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def parse_threat(text: str, example: str, usual: Mapping[str, float] | None = None) -> tuple[str, float]:
    """``l2:0.5`` as the threat's name and its eps, or the ``usual`` one of the name where it gives none.

    Raises:
        SpecError: where the eps is no number; the sentence ends with the ``example``.
    """
    name, colon, eps = text.partition(":")
    if usual is not None and not colon:
        return name, usual[name]
    try:
        return name, float(eps)
    except ValueError:
        raise SpecError(f"threat: expected THREAT:EPS such as {example}, got {text!r}") from None
