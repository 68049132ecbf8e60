"""The report card as one self-contained page, and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustq.atomic import write_atomically
from robustq.audit import AUDITS
from robustq.bench import Results
from robustq.bench.estimates import Estimate
from robustq.bench.results import EntrantResult
from robustq.report.audit import group_flags, states, tally
from robustq.report.examples import shown
from robustq.report.figures import figures
from robustq.report.mitigation import describe_changes
from robustq.report.renderer import render_page
from robustq.report.terminal import make_lines, make_notes, make_table
from robustq.report.words import share

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

STYLES = {"useless": "bold red", "broken": "bold red", "fragile": "bold yellow", "robust": "bold green"}
LEVELS = {"red": "bold red", "amber": "yellow"}

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
    """The page as text."""
    words = {"confidence": f"{100 * results.confidence:g} %", "shots": str(results.shots), **_asked(results)}
    return render_page(
        "card",
        "report card",
        results,
        figures(results),
        texts={name: (title, text.format(**words)) for name, (title, text) in TITLES.items()},
        cards=cards(results),
        worst=_examples(results),
        flags=group_flags(results),
        tally=tally(results),
        checks={name: entry for name, entry in AUDITS.items() if not entry.null},
        states={subject: states(found) for subject, found in results.audited().items()},
        describe_changes=describe_changes,
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


def summary(results: Results) -> RenderableType:
    """Headline, table and caveats for the terminal."""
    from rich.console import Group

    eps = results.reference_eps
    columns = (
        "model",
        "parameters",
        "clean",
        f"robust at {eps:g}",
        "attack success",
        "ECE",
        f"certified at {eps:g}",
        "noise resilience",
    )
    rows = [_cells(results, row) for row in results.entrants]
    table = make_table(f"{results.title}: {results.threat}, {results.shots} shots", columns, rows)
    verdict = results.verdict
    headline = make_lines([f"{verdict.level.upper()}  {verdict.headline}"], STYLES[verdict.level])
    sentences = make_lines(verdict.sentences, indent="  ")
    caveats = make_notes(caveat.text for caveat in results.caveats)
    return Group(*_flags(results), *headline, *sentences, table, *_on_device(results), *caveats)


def _cells(results: Results, row: EntrantResult) -> list[str]:
    point = results.at_reference(row.key)
    return [
        row.label,
        str(row.parameters),
        share(row.accuracy),
        share(point.robust),
        share(point.success),
        f"{row.calibration_error.value:.3f}",
        share(row.certified.at(results.reference_eps).certified if row.certified else None),
        share(row.noise_resilience),
    ]


def _flags(results: Results) -> list[Text]:
    """The audit's flags, or that it raised none."""
    flags = []
    for f in group_flags(results):
        who = "; ".join(f.subjects)
        flags += make_lines([f"{f.level.upper()} FLAG  {who}: {f.message} ({f.id})"], LEVELS[f.level])
    clean = "no flag raised, " if results.audited() and not flags else ""
    return [*flags, *make_lines([f"audit: {clean}{tally(results)}"], "dim")]


def _on_device(results: Results) -> list[RenderableType]:
    """The quantum entrants on the calibrated device, if there is one."""
    if results.device is None:
        return []
    columns = (
        "model",
        "clean",
        f"{results.shots} shots",
        f"robust at {results.reference_eps:g}",
        "noise known",
        "transferred",
        "least after drift",
    )
    rows = []
    for row in results.entrants:
        if row.on_device:
            found, point = row.on_device, row.on_device_at(results.reference_eps)
            worst = min((d.exact for d in found.drift), key=lambda e: e.value, default=None)
            estimates = (found.exact, found.shots, point.robust, point.informed, point.transfer, worst)
            rows.append([row.label, *map(share, estimates)])
    return [make_table(f"On {results.device.name}, calibrated {results.device.date}", columns, rows)]
