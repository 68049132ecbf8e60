"""The worst examples: three pictures for an image, signed bars for a table's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustq.atomic import write_atomically
from robustq.report.pictures import difference_png, grey_png

MOST_BARS = 8


def shown(
    example: Mapping[str, Any], classes: Sequence[str], features: Sequence[str], image_shape: Sequence[int] | None
) -> dict[str, Any]:
    """One example ready for a template.

    Args:
        example: as :class:`robustq.bench.results.Example` holds it.
        classes: names of the classes.
        features: names of the features.
        image_shape: rows and columns if the features are pixels.
    """
    return {
        "row": example["row"],
        "label": classes[example["label"]],
        "predicted": classes[example["predicted"]],
        "before": _percent(example["confidence_before"]),
        "after": _percent(example["confidence_after"]),
        "pictures": _pictures(example, image_shape) if image_shape else [],
        "bars": [] if image_shape else _bars(example, features),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.1f}\u00a0%"


def _pictures(example: Mapping[str, Any], shape: Sequence[int]) -> list[tuple[str, str]]:
    x, x_adv = example["x"], example["x_adv"]
    return [
        ("input", grey_png(x, shape)),
        ("change, amplified", difference_png(x, x_adv, shape)),
        ("attacked", grey_png(x_adv, shape)),
    ]


def _bars(example: Mapping[str, Any], features: Sequence[str]) -> list[dict[str, Any]]:
    """The largest changes, in the order of the features."""
    delta = [b - a for a, b in zip(example["x"], example["x_adv"], strict=True)]
    largest = max(map(abs, delta)) or 1.0
    order = sorted(range(len(delta)), key=lambda k: -abs(delta[k]))[:MOST_BARS]
    return [
        {
            "name": features[k],
            "delta": f"{delta[k]:+.3f}",
            "positive": delta[k] > 0,
            "width": round(50 * abs(delta[k]) / largest, 1),
        }
        for k in sorted(order)
    ]


def write_examples(
    path: Path, examples: Sequence[Mapping[str, Any]], *, title: str, facts: Mapping[str, str]
) -> None:
    """Write a page of examples, made by :func:`shown`, atomically; it needs no network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("examples.html.j2").render(title=title, facts=facts, examples=examples)
    write_atomically(path, page.encode())
