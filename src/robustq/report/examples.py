"""The worst examples: three pictures for an image, signed bars for a table's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustq.atomic import write_atomically
from robustq.report.pictures import difference_png, grey_png
from robustq.report.renderer import render_page
from robustq.report.words import percent

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
        "before": percent(example["confidence_before"]),
        "after": percent(example["confidence_after"]),
        "pictures": _pictures(example, image_shape) if image_shape else [],
        "bars": [] if image_shape else _bars(example, features),
    }


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
    record = {"title": title, "facts": facts, "examples": examples}
    write_atomically(path, render_page("examples", "adversarial examples", record).encode())
