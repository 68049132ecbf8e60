"""What every page and every table for the terminal has from the shared parts."""

import io
import re

import plotly.graph_objects as go
import pytest
from jinja2 import UndefinedError
from rich.console import Console

from codesign_specs import drawn
from robustq.report import render_codesign
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_table

HOSTILE = "</script><b>[bold]name"


def test_what_a_record_holds_is_text_in_the_page_and_in_its_scripts():
    record = {"title": HOSTILE, "facts": {HOSTILE: HOSTILE}, "examples": []}
    bare = render_page("examples", "adversarial examples", record)
    assert "<script" not in bare
    assert bare.count("&lt;/script&gt;&lt;b&gt;[bold]name") == 4
    figure = go.Figure(go.Scatter(x=[0], y=[0], name=HOSTILE))
    page = render_page("examples", "adversarial examples", record, {"one": figure})
    assert page.count("<script>") == page.count("</script>") == 2
    assert r"\u003c/script>" in page or r"\u003c\u002fscript\u003e" in page


def test_a_page_is_not_made_from_half_a_record():
    with pytest.raises(UndefinedError, match="examples"):
        render_page("examples", "adversarial examples", {"title": "T", "facts": {}})


def test_every_head_has_a_scope_and_every_figure_a_text():
    page = re.sub(r"<script>.*?</script>", "", render_codesign(drawn()), flags=re.DOTALL)
    heads = re.findall(r"<th\b[^>]*>", page)
    assert heads
    assert all("scope=" in head for head in heads)
    plots = re.findall(r'<div class="plot"[^>]*>', page)
    assert len(plots) == 3
    assert all(re.search(r'role="figure" aria-label="\w', plot) for plot in plots)


def test_names_in_brackets_are_no_markup_in_the_terminal():
    text = io.StringIO()
    console = Console(width=120, file=text)
    console.print(make_table(HOSTILE, ("[red]model", "clean"), [(HOSTILE, "20.0 [6.3, 54.7]")]))
    console.print(*make_lines([HOSTILE], indent="  "))
    shown = text.getvalue()
    assert shown.count(HOSTILE) == 3
    assert "[red]model" in shown
    assert "20.0 [6.3, 54.7]" in shown
