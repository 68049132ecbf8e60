"""The report card: complete, self-contained, and readable in a real browser."""

import io
import re
import shutil

import pytest

from in_place import in_place
from robustq import bench
from robustq.audit import AUDITS, Evidence
from robustq.bench import read_results
from robustq.bench.results import RaisedFlag
from robustq.report import render, summary, write_report
from robustq.report.pictures import difference_png, grey_png

SPEC = {
    "title": "A <script>alert(1)</script> title",
    "data": {"name": "digits", "classes": ["3", "5"], "features": 16, "train_size": 60, "test_size": 40},
    "seeds": 2,
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.05, 0.2], "reference": 0.2},
    "attack": {"options": {"steps": 4, "restarts": 1}},
    "defence": {"steps": 2},
    "noise": {"gate_error": [0.05], "readout_error": [0.1], "shots": 50, "device": "manila"},
    "mitigation": {"names": ["readout", "readout+zne"], "inputs": 20},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with in_place():
        return bench.assess(bench.parse(SPEC), tmp_path_factory.mktemp("run") / "r")


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(results, path)
    return path


def test_page_is_self_contained_and_escaped(page):
    text = page.read_text()
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", own)
    assert "<script>alert(1)" not in text
    assert "A &lt;script&gt;alert(1)&lt;/script&gt; title" in text


def test_page_tells_what_the_results_hold(results, page):
    text = page.read_text()
    assert results.verdict.headline in text
    for row in results.entrants:
        assert f"{100 * row.accuracy.value:.1f}\u00a0%" in text
        assert row.label in text
    for caveat in results.caveats:
        assert caveat.text.split(";")[0][:40].replace("'", "&#39;") in text
    for metric in ("Accuracy", "Robustness", "Attack success", "Calibration error", "Noise resilience"):
        assert f"<h2>{metric}</h2>" in text


def flagged(results, *flags):
    """The same results with these flags, ``(subject, id)``, raised."""
    raised = [
        RaisedFlag(subject=subject, id=name, level=AUDITS[name].level, message="7 < 9") for subject, name in flags
    ]
    return results.model_copy(update={"flags": raised})


def test_flags_stand_at_the_top_and_lead_to_their_explanation(results):
    sick = flagged(results, ("QNN", "fewer-steps-beat-more"), ("QNN", "data-leakage"), ("SVM", "data-leakage"))
    text = render(sick)
    banner = text[text.index('<section class="panel flags red"') :].split("</section>")[0]
    assert text.index(banner) < text.index('id="verdict"')
    assert banner.index("<b>QNN; SVM</b>: 7 &lt; 9") < banner.index("fewer-steps-beat-more")
    for name in ("data-leakage", "fewer-steps-beat-more"):
        assert f'href="#check-{name}"' in banner
        row = text[text.index(f'<tr id="check-{name}">') :].split("</tr>")[0]
        assert AUDITS[name].advice in row
    amber = render(flagged(results, ("QNN", "fewer-steps-beat-more")))
    assert 'class="panel flags amber"' in amber
    assert "No flag was raised." in render(flagged(results))
    assert 'id="flags"' not in render(flagged(results))


def test_a_page_without_flags_says_so_at_the_top(results):
    clean = render(results.model_copy(update={"flags": []}))
    assert clean.index('id="no-flags"') < clean.index('id="verdict"')
    assert "no flag was raised; " in clean
    assert 'id="no-flags"' not in render(flagged(results, ("QNN", "below-majority")))


def test_every_check_has_a_row_and_every_model_a_column(results):
    text = render(results)
    section = text[text.index('id="audit"') :].split("</section>")[0]
    for name, entry in AUDITS.items():
        assert (f'id="check-{name}"' in section) != entry.null
    for subject in results.audited():
        assert f'<th scope="col">{subject}</th>' in section
    assert "QNN on manila" in results.audited()
    little = {"evidence": Evidence(correct=9), "on_device": None}
    rows = [row.model_copy(update=little) for row in results.entrants]
    told = render(results.model_copy(update={"device": None, "entrants": rows}))
    assert "not measured: vanishing-gradients" in told


def test_what_is_proved_stands_between_nothing_and_the_attack(results):
    section = render(results).split('id="certificates"')[1].split("</section>")[0]
    for row in results.entrants:
        if row.certified is None:
            assert row.family == "classical"
            continue
        for point in row.certified.points:
            assert f"{100 * point.certified.value:.1f}\u00a0%" in section
            assert f"attacked {100 * row.at(point.eps).robust.value:.1f}\u00a0%" in section
    bare = [row.model_copy(update={"certified": None}) for row in results.entrants]
    assert 'id="certificates"' not in render(results.model_copy(update={"entrants": bare}))
    told = [row.model_copy(update={"uncertified": "because"}) for row in bare]
    assert "because" in render(results.model_copy(update={"entrants": told}))


def test_the_terminal_shows_flags_first(results):
    from rich.console import Console

    written = io.StringIO()
    Console(width=160, file=written).print(summary(flagged(results, ("QNN", "data-leakage"))))
    assert written.getvalue().startswith("RED FLAG  QNN: 7 < 9 (data-leakage)")


def test_the_device_has_a_section_when_there_is_one(results, page):
    text = page.read_text()
    section = text[text.index('<section class="panel" id="device">') :].split("</section>")[0]
    point = results.entrants[0].on_device_at(results.reference_eps)
    for told in (
        results.device.name,
        results.device.date,
        f"{results.device.swaps} SWAP",
        f"{results.device.two_qubit_gates} of them on two qubits",
        "gate-error-doubling",
        f"{100 * point.robust.value:.1f}\u00a0%",
        'id="figure-device"',
    ):
        assert told in section
    rows = [row.model_copy(update={"on_device": None}) for row in results.entrants]
    without = render(results.model_copy(update={"device": None, "entrants": rows}))
    assert 'id="device"' not in without
    assert "figure-device" not in without


def test_same_results_same_page(results):
    assert render(results) == render(results)


def test_terminal_summary_names_everybody(results):
    from rich.console import Console

    written = io.StringIO()
    Console(width=160, file=written).print(summary(results))
    text = written.getvalue()
    for row in results.entrants:
        assert row.label in text


def test_pictures_are_pngs_with_the_right_pixels():
    import base64
    import zlib

    raw = base64.b64decode(grey_png([0.0, 0.5, 1.0, 2.0], (2, 2)).split(",")[1])
    assert raw.startswith(b"\x89PNG")
    start = raw.index(b"IDAT") + 4
    assert zlib.decompress(raw[start : raw.index(b"IEND") - 8]) == b"\0\x00\x80\0\xff\xff"
    assert difference_png([0.0, 0.5], [0.1, 0.5], (1, 2)) == grey_png([1.0, 0.5], (1, 2))


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine")
@pytest.mark.parametrize("width", [390, 1400])
def test_page_in_a_browser(page, results, width, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = browser.new_page(viewport={"width": width, "height": 900})
        problems, requests = [], []
        tab.on("console", lambda m: problems.append(m.text))
        tab.on("pageerror", lambda e: problems.append(str(e)))
        tab.on("request", lambda r: requests.append(r.url))
        tab.goto(page.as_uri())
        tab.wait_for_function("document.querySelectorAll('.plot .main-svg').length > 0")
        plots, drawn = tab.evaluate(
            "[document.querySelectorAll('.plot').length,"
            " [...document.querySelectorAll('.plot')].filter(p => p.querySelector('.trace path, .trace')).length]"
        )
        overflow = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        smallest = tab.evaluate(
            "Math.min(...[...document.querySelectorAll('p, li, td, h1, h2')]"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        pictures = tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        browser.close()
    assert problems == []
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert plots == drawn == 10
    assert overflow <= 0
    assert smallest >= 12
    assert pictures


def test_results_survive_a_round_trip_through_json(results, tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(results.to_bytes())
    assert read_results(path) == results
