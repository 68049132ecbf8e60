"""What every figure is drawn on, and with: one layout, one palette, curves, error bars and marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from robustq.bench.estimates import Estimate

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe & Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7A4B12", "#7F7F7F")
INK, FLOOR, MARK = "#0f172a", "#64748b", "#94a3b8"


def cycle(count: int) -> list[str]:
    """So many colours, from the first again when they run out.

    >>> cycle(2)
    ['#0072B2', '#D55E00']
    """
    return [COLOURS[k % len(COLOURS)] for k in range(count)]


def fade(colour: str) -> str:
    """A colour, nearly transparent.

    >>> fade("#0072B2")
    'rgba(0, 114, 178, 0.15)'
    """
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.15)"


def layout(height: int = 400, **more: Any) -> dict[str, object]:
    """The page's style, for a figure of any kind."""
    return {
        "template": "plotly_white",
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 12, "b": 44},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
    } | more


def draw_axes(x: str, y: str, *, unit: Literal["share", "amount", "names"] = "share") -> go.Figure:
    """Empty axes with a legend below.

    Args:
        x: what stands along the horizontal axis.
        y: what stands along the vertical axis.
        unit: the vertical axis holds a ``share`` of one, an ``amount`` from zero on, or ``names`` from the top down.
    """
    import plotly.graph_objects as go

    units: dict[str, dict[str, Any]] = {
        "share": {"range": [-0.02, 1.02], "tickformat": ".0%"},
        "amount": {"rangemode": "tozero"},
        "names": {"autorange": "reversed", "automargin": True},
    }
    legend = {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font": {"size": 12}}
    style = layout(legend=legend, xaxis_title=x, yaxis_title=y, hovermode="closest")
    return go.Figure(layout=go.Layout(**style)).update_yaxes(**units[unit])


def error_bars(estimates: Sequence[Estimate], colour: str | None = None) -> dict[str, Any]:
    """Intervals as error bars, in the colour of what they belong to or another.

    >>> error_bars([Estimate(value=0.5, low=0.4, high=0.7, inputs=1, seeds=1)])["symmetric"]
    False
    """
    return {
        "type": "data",
        "symmetric": False,
        "thickness": 1,
        "width": 3,
        "color": colour,
        "array": [e.high - e.value for e in estimates],
        "arrayminus": [e.value - e.low for e in estimates],
    }


def draw_curve(
    figure: go.Figure,
    x: Sequence[float],
    y: Sequence[float | None],
    name: str,
    colour: str,
    *,
    dash: str = "solid",
    width: float = 2,
    **more: Any,
) -> None:
    """A line; ``more`` is what else Plotly knows of a scatter."""
    line = {"color": colour, "width": width, "dash": dash}
    figure.add_scatter(**{"x": x, "y": y, "name": name, "mode": "lines", "line": line} | more)


def draw_floor(figure: go.Figure, y: float, text: str, **more: Any) -> None:
    """A dashed line across, with a word on it: what a value is compared with."""
    line = {"color": FLOOR, "width": 1, "dash": "dash"}
    figure.add_hline(y=y, line=line, annotation_text=text, annotation_font_size=11, **more)


def draw_mark(figure: go.Figure, x: float, **more: Any) -> None:
    """A dotted line upwards: where the tables are read, or a floor along the horizontal axis."""
    figure.add_vline(x=x, line={"color": MARK, "width": 1, "dash": "dot"}, **more)
