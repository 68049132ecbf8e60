"""The page of a co-design search: complete, self-contained, and readable in a real browser."""

import io
import re
import shutil

import pytest

from codesign_specs import drawn
from robustq.report import codesign_table, render_codesign, write_codesign
from robustq.report.codesign import axes, distinct, gap, on_test_rows, parallel, scatter, score


@pytest.fixture(scope="module")
def front():
    return drawn()


def own_text(page):
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_page_is_self_contained_and_escaped(front):
    page = render_codesign(front)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", own_text(page))
    assert "<script>alert(1)" not in page
    assert "A &lt;script&gt;alert(1)&lt;/script&gt; title" in page
    assert page == render_codesign(front)


def test_page_says_what_was_not_used_to_choose(front):
    text = " ".join(own_text(render_codesign(front)).split())
    assert "No architecture was chosen by its test rows." in text
    assert "judged on the 24 rows held back from it, with PGD" in text
    assert "with 5 fresh seeds and judged on the 20 test rows, with QuantumAutoAttack" in text
    assert front.statement.replace("'", "&#39;") in text


def test_page_holds_every_architecture_once_and_every_finalist(front):
    page = own_text(render_codesign(front))
    table = page[page.index('id="trials"') :].split("</section>")[0]
    assert table.count("<tr") == 1 + len(distinct(front)) == 1 + 5
    assert "9 two-qubit gates, at most 8" in table
    finals = page[page.index('id="finalists"') :].split("</section>")[0]
    for row in (front.reference, *front.finalists):
        assert f'<th scope="row">{row.number}</th><td>{row.label}' in finals
        for goal in front.goals:
            assert score(goal, row.scores[goal.name]) in finals
    assert '<tr class="best"><th scope="row">1</th>' in finals
    assert '<tr class=""><th scope="row">2</th>' in finals
    assert finals.count('class="better"') == 2
    assert finals.count('class="worse"') == 1
    assert "3 further members of the front were not tried" in finals


def test_gaps_are_told_in_points_and_gates(front):
    goals = {goal.name: goal for goal in front.goals}
    first, second = front.finalists
    assert gap(goals["robust"], first.gaps["robust"]) == "+20.0 [+10.0, +30.0]"
    assert gap(goals["two-qubit-gates"], first.gaps["two-qubit-gates"]) == "4 fewer"
    assert gap(goals["two-qubit-gates"], second.gaps["two-qubit-gates"]) == "2 more"
    assert gap(goals["two-qubit-gates"], first.gaps["clean"]) == "as many"


def test_a_refuted_certificate_stands_at_the_top(front):
    assert 'id="contradictions"' not in render_codesign(front)
    sick = render_codesign(front.model_copy(update={"contradictions": 2}))
    assert sick.index('id="contradictions"') < sick.index('id="verdict"')
    assert "2 certified test inputs were flipped" in sick


def test_the_figures_hold_what_was_measured(front):
    x, y = axes(front)
    assert (x.name, y.name) == ("clean", "robust")
    figure = scatter(front)
    groups = {trace.name: trace for trace in figure.data}
    members = [t for t in front.trials if t.front]
    assert list(groups["on the front"].x) == [t.scores["clean"].value for t in members]
    assert list(groups["on the front"].marker.color) == [t.two_qubit_gates for t in members]
    assert len(groups["outside the constraints"].x) == 1
    assert list(groups["the specification's own model"].y) == [front.trials[0].scores["robust"].value]
    lines = parallel(front).data[0]
    assert [d.label for d in lines.dimensions][:3] == [g.label for g in front.chosen]
    assert sum(lines.line.color) == len(members)
    assert len(lines.line.color) == 3
    shown = [number for trace in on_test_rows(front).data for number in trace.text]
    assert sorted(shown) == ["0", "1", "2"]


def test_the_table_for_the_terminal(front):
    from rich.console import Console

    text = io.StringIO()
    Console(width=260, file=text).print(codesign_table(front))
    told = " ".join(text.getvalue().split())
    assert "5 architectures tried, 2 on the front; test rows" in told
    assert "(dominates it)" in told
    assert "Noisy accuracy *" in told
    assert "measured at the end only" in told
    assert front.statement in told


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine")
@pytest.mark.parametrize("width", [390, 1400])
def test_page_in_a_browser(front, width, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    write_codesign(front, tmp_path / "codesign.html")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = browser.new_page(viewport={"width": width, "height": 900})
        problems, requests = [], []
        tab.on("pageerror", lambda e: problems.append(str(e)))
        tab.on("request", lambda r: requests.append(r.url))
        tab.goto((tmp_path / "codesign.html").as_uri())
        tab.wait_for_function("document.querySelectorAll('.main-svg').length > 4")
        overflow = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        points = tab.evaluate("document.querySelectorAll('#figure-front .point').length")
        axes_drawn = tab.evaluate("document.querySelectorAll('#figure-parallel .y-axis').length")
        browser.close()
    assert problems == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    assert overflow <= 0
    assert points >= 5
    assert axes_drawn == 7
