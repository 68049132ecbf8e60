"""What every figure is drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe & Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7A4B12", "#7F7F7F")


def cycle(count: int) -> list[str]:
    """So many colours, from the first again when they run out.

    >>> cycle(2)
    ['#0072B2', '#D55E00']
    """
    return [COLOURS[k % len(COLOURS)] for k in range(count)]


def empty(x: str, y: str) -> go.Figure:
    """Axes in the page's style, the vertical one a share in percent."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=400,
        margin={"l": 48, "r": 12, "t": 12, "b": 44},
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#0f172a"},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font": {"size": 12}},
        xaxis_title=x,
        yaxis_title=y,
        hovermode="closest",
    )
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure
