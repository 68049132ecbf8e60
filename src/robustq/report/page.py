"""The report card: one self-contained HTML page made from stored results alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robustq.atomic import write_atomically
from robustq.audit import AUDITS
from robustq.bench.estimates import Estimate
from robustq.bench.results import EntrantResult, Results
from robustq.report.audit import states, tally, told
from robustq.report.examples import shown
from robustq.report.figures import figures
from robustq.report.mitigation import told as changed
from robustq.report.words import interval, percent, script_safe

TITLES = {
    "robustness": (
        "Accuracy under attack",
        "Share of test inputs that are classified correctly and "
        "that the attack could not flip. Bars are {confidence} intervals over inputs and seeds.",
    ),
    "sandwich": (
        "Certified, exact, attacked",
        "Solid: share of test inputs that are proved to keep their right "
        "answer. Dotted: those without a known change that alters it. The exact robust accuracy lies "
        "between the two; where they meet it is known. Crosses: what the attack left, never below. "
        "Dashed: clean accuracy.",
    ),
    "gate-noise": (
        "Gate noise",
        "Clean accuracy when every gate is followed by depolarising noise: "
        "{shots} shots (solid) and exact expectations (dashed).",
    ),
    "readout-noise": (
        "Read-out error",
        "Clean accuracy when every qubit is misread with this "
        "probability: {shots} shots (solid) and exact expectations (dashed).",
    ),
    "reliability": (
        "Calibration",
        "When the model says it is 80 % sure, is it right 80 % of the time? Larger dots hold more predictions.",
    ),
    "risk-coverage": (
        "When not to answer",
        "If only the surest share of the inputs is answered, how many of these "
        "answers are wrong? A model that knows what it does not know falls steeply to the left.",
    ),
    "sets": (
        "Conformal sets",
        "Sets of classes that should hold the true one in {asked} of the cases: calibrated "
        "on a random half of the test inputs, judged on the other, {repeats} times. Bars are {confidence} "
        "intervals. Hover for the size of the sets.",
    ),
    "doubt": (
        "Where the doubt comes from",
        "Mean entropy of the answers: what the data leave open (aleatoric), what "
        "the seeds' models disagree about (epistemic), what {shots} shots and the device's noise add.",
    ),
    "device": (
        "Accuracy under attack on the device",
        "Share of test inputs that the device classifies "
        "correctly and that neither attack flips: one follows the device's noisy gradients, one "
        "brings examples made on the noise-free model (dashed: that model itself). Click the "
        "legend for each attack alone. Bars are {confidence} intervals over inputs and seeds.",
    ),
    "history": ("Training", "Loss on the training rows and on the rows held back to choose the epoch."),
}


def write_report(results: Results, path: Path) -> None:
    """Write the page to ``path``, atomically."""
    write_atomically(path, render(results).encode())


def render(results: Results) -> str:
    """The page as text: no network, no time stamp; the same results give the same page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("robustq.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["interval"] = interval
    environment.filters["told"] = changed
    words = {"confidence": f"{100 * results.confidence:g} %", "shots": str(results.shots), **_asked(results)}
    drawn = [
        {
            "id": name,
            "title": TITLES[name][0],
            "text": TITLES[name][1].format(**words),
            "json": script_safe(figure.to_json()),
        }
        for name, figure in figures(results).items()
    ]
    return environment.get_template("report.html.j2").render(
        r=results,
        figures=drawn,
        cards=cards(results),
        examples=_examples(results),
        plotly=get_plotlyjs(),
        flags=told(results),
        tally=tally(results),
        checks={name: entry for name, entry in AUDITS.items() if not entry.null},
        states={subject: states(found) for subject, found in results.audited().items()},
        spec=json.dumps(results.spec, indent=1),
    )


def _asked(results: Results) -> dict[str, str]:
    """What was asked of conformal sets; results from before they were measured say nothing of it."""
    asked = results.spec.get("uncertainty", {"alpha": 0.1, "repeats": 0})
    return {"asked": f"{100 * (1 - asked['alpha']):g} %", "repeats": str(asked["repeats"])}


def cards(results: Results) -> list[dict[str, Any]]:
    """The five metrics of the standard table: for the model under test and for its twin."""
    rows = [row for row in results.entrants if row.key.startswith("quantum")]
    eps = results.reference_eps
    metrics: list[tuple[str, str, Callable[[EntrantResult], Estimate | None]]] = [
        ("Accuracy", "on clean test data, higher is better", lambda e: e.accuracy),
        (
            "Robustness",
            f"accuracy under attack at ε = {eps:g}, higher is better",
            lambda e: results.at_reference(e.key).robust,
        ),
        (
            "Attack success",
            f"correct inputs flipped at ε = {eps:g}, lower is better",
            lambda e: results.at_reference(e.key).success,
        ),
        ("Calibration error", "confidence against truth (ECE), lower is better", lambda e: e.calibration_error),
        ("Noise resilience", "accuracy kept under gate noise, higher is better", lambda e: e.noise_resilience),
    ]
    return [
        {
            "name": name,
            "text": text,
            "values": [{"label": _short(row), "estimate": pick(row)} for row in rows if pick(row)],
        }
        for name, text, pick in metrics
    ]


def _short(row: EntrantResult) -> str:
    return "defended" if row.defended else "undefended"


def _examples(results: Results) -> list[dict[str, Any]]:
    return [
        shown(e.model_dump(), results.classes, results.features, results.image_shape)
        for e in results.examples
        if e.entrant == "quantum"
    ][:4]
