"""Times against qubits on a logarithmic scale, as SVG text: one panel a subject."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LEGEND = 430, 300, 56, 34, 40, 140
COLOURS = (
    "#d1242f",
    "#0969da",
    "#1a7f37",
    "#8250df",
    "#bf8700",
    "#57606a",
    "#cf5e9b",
    "#0f8b8d",
    "#4b2e83",
    "#a0522d",
)
# Contender -> (qubits, milliseconds), in the order of the legend.
Series = Mapping[str, Sequence[tuple[int, float]]]


def figure(panels: Mapping[str, Series]) -> str:
    """The panels, two in a row, in one SVG document."""
    rows = -(-len(panels) // 2)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(names)}
    placed = [
        f'<g transform="translate({WIDTH * (k % 2)},{HEIGHT * (k // 2)})">{panel(title, series, colours)}</g>'
        for k, (title, series) in enumerate(panels.items())
    ]
    size = f'width="{2 * WIDTH}" height="{HEIGHT * rows}"'
    view = f'viewBox="0 0 {2 * WIDTH} {HEIGHT * rows}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(placed) + "\n</svg>\n"
    )


def panel(title: str, series: Series, colours: Mapping[str, str]) -> str:
    """One pair of axes with a line and a legend entry for every contender; MiB if the title says so."""
    unit = "MiB" if title.endswith("MiB") else "ms"
    points = [point for line in series.values() for point in line]
    sizes = sorted({n for n, _ in points})
    low = math.floor(math.log10(min(t for _, t in points)))
    high = max(low + 1, math.ceil(math.log10(max(t for _, t in points))))
    right, bottom = WIDTH - LEGEND, HEIGHT - BOTTOM

    def across(n: int) -> float:
        span = max(1, sizes[-1] - sizes[0])
        return LEFT + 20 + (right - LEFT - 40) * (n - sizes[0]) / span

    def down(t: float) -> float:
        return bottom - (bottom - TOP) * (math.log10(t) - low) / (high - low)

    parts = [_text(LEFT, 20, title, weight="bold"), _text((LEFT + right) / 2 - 16, HEIGHT - 8, "qubits")]
    parts += [_text(across(n) - 3, bottom + 16, str(n)) for n in sizes]
    for power in range(low, high + 1):
        y = down(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#d0d7de"/>')
        parts.append(_text(4, y + 4, f"{10.0**power:g} {unit}"))
    for k, (name, line) in enumerate(series.items()):
        places = [(across(n), down(t)) for n, t in line]
        parts.append(_line(places, colours[name]))
        parts.append(_text(right + 8, TOP + 10 + 16 * k, name, colour=colours[name]))
    return "".join(parts)


def _line(places: Sequence[tuple[float, float]], colour: str) -> str:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
    return f'<g stroke="{colour}" fill="{colour}"><path d="{path}" fill="none"/>{dots}</g>'


def _text(x: float, y: float, words: str, *, colour: str = "#24292f", weight: str = "normal") -> str:
    style = f'fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
