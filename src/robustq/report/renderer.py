"""The one way from a record to a page: a template, the shared style and widgets, and the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from robustq.report import words

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from jinja2 import Environment


def render_page(
    template: str, kind: str, record: object, figures: Mapping[str, go.Figure] | None = None, **content: object
) -> str:
    """A self-contained page as text: no network, no time stamp; the same record gives the same page.

    Args:
        template: name of the template, without its ending.
        kind: what the page is, for its title.
        record: what it shows; anything with a ``title``.
        figures: drawn where the template places ``figure`` with their name.
        content: what else the template asks for.
    """
    from plotly.offline import get_plotlyjs

    return (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            kind=kind,
            record=record,
            drawn={name: _script(figure) for name, figure in (figures or {}).items()},
            plotly=get_plotlyjs() if figures else "",
            **content,
        )
    )


def _environment() -> Environment:
    """Templates that escape what they are given, and fail where they are not given it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (words.percent, words.interval, words.bounds, words.points, words.duration)
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters["indented"] = lambda value: json.dumps(value, indent=1)
    return environment


def _script(figure: go.Figure) -> str:
    """JSON that can stand inside a script element whatever names the data holds."""
    return (figure.to_json() or "").replace("<", "\\u003c")
