"""Draw the figures of docs/architecture.md from the code; a figure that names what is gone fails.

python tools/architecture.py [--check]
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
SOURCE, TARGET = ROOT / "src" / "robustq", ROOT / "docs" / "architecture"
WIDTH, BOX, GAP = 900, 44, 22
FILL = 'fill="#e8eefc" stroke="#34508c"'
LIVES = {
    "input": (
        ("models/quantum_net.py:QuantumNet", "the model: features in, logits out"),
        ("circuits/circuit.py:Circuit", "the circuit as frozen data"),
        ("contracts/classifiers.py:frozen", "trained angles fixed, once"),
        ("engine/frozen_model.py:FrozenModel", "the cheapest of the strategies, observables pulled back"),
        ("engine/native.py:rows", "the kernel, a lane for each sample; or pure torch"),
        ("contracts/classifiers.py:check_logits", "finite logits of the right shape"),
    ),
    "attack": (
        ("attacks/verdict.py:run_attack", "checks data and budgets, freezes the model"),
        ("attacks/problem.py:SearchProblem", "all that the author of an attack may ask"),
        ("contracts/attacks.py:Attack", "searches; never judges"),
        ("attacks/ledger.py:Ledger", "charges every question and gradient"),
        ("attacks/best_so_far.py:BestSoFar", "remembers the strongest candidate inside the budget"),
        ("attacks/verdict.py:_fooled", "the model itself decides"),
        ("contracts/attacks.py:AttackResult", "robust, success, radius, queries"),
    ),
    "certificate": (
        ("certify/verdict.py:certify", "checks data, freezes the model, float64"),
        ("contracts/certificates.py:Certifier", "the method"),
        ("certify/verdict.py:_prepared", "once for a model and a threat"),
        ("contracts/certificates.py:Prover", "proves a chunk of inputs"),
        ("contracts/certificates.py:Bounds", "lower, upper, witness: a claim"),
        ("certify/verdict.py:_checked", "the model answers to the witness; distances measured again"),
        ("contracts/certificates.py:Certificate", "what was proved, for each input"),
    ),
    "run": (
        ("bench/study.py:perform", "checks the specification, claims the folder"),
        ("bench/study.py:Study", "rounds of units"),
        ("runs/unit.py:Unit", "a function and its arguments"),
        ("runs/execution.py:execute", "enters units, waits, gathers"),
        ("runs/store.py:Store", "queue and memory"),
        ("runs/worker.py:Worker", "leases, does, hands in; started by an executor or by hand"),
        ("runs/payloads.py:write_files", "results laid into the run folder"),
        ("bench/records.py:read_record", "the record, from what was written"),
    ),
}


def text(x: float, y: float, content: str, extra: str = "") -> str:
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" {extra}>{escape(content)}</text>'


def page(height: int, parts: list[str]) -> str:
    """A whole figure."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
    head += 'font-family="sans-serif" font-size="14">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def life(steps: tuple[tuple[str, str], ...]) -> str:
    """Boxes from top to bottom, each looked up in the code."""
    parts = []
    for at, (place, what) in enumerate(steps):
        file, _, name = place.partition(":")
        tree = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
        if name not in {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}:
            raise SystemExit(f"expected {name} in {file}, which a figure of {__file__} names; got none")
        y = 10 + at * (BOX + GAP)
        parts.append(f'<rect x="10" y="{y}" width="380" height="{BOX}" rx="5" {FILL}/>')
        parts.append(text(22, y + 18, name, 'font-weight="bold"'))
        parts.append(text(22, y + 36, file, 'font-size="12" fill="#555"'))
        parts.append(text(410, y + 27, what))
        if at:
            parts.append(f'<path d="M200 {y - GAP}V{y - 3}m-4 -6l4 6l4 -6" fill="none" stroke="#34508c"/>')
    return page(len(steps) * (BOX + GAP), parts)


def floors() -> str:
    """The layers with their packages, sizes, and how many imports go to lower floors."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [line.split(" | ") for line in settings["contracts"][0]["layers"]]
    floor_of = {name: at for at, layer in enumerate(layers) for name in layer}
    graph, down = grimp.build_graph("robustq"), Counter[int]()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            here, there = (floor_of.get(".".join(name.split(".")[:2])) for name in (module, other))
            if here is not None and there is not None and here < there:
                down[here] += 1
    parts = []
    for at, layer in enumerate(layers):
        y, width = 10 + at * (BOX + 8), (720 - 8 * (len(layer) - 1)) / len(layer)
        for column, name in enumerate(layer):
            place = SOURCE / name.split(".")[1]
            files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
            lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
            x = 10 + column * (width + 8)
            parts.append(f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{BOX}" rx="5" {FILL}/>')
            parts.append(text(x + 8, y + 18, name.split(".")[1], 'font-weight="bold"'))
            parts.append(
                text(
                    x + 8,
                    y + 36,
                    f"{len(files)} {'file' if len(files) == 1 else 'files'}, {lines:,} lines",
                    'font-size="11" fill="#555"',
                )
            )
        parts.append(text(742, y + 27, f"{down[at]} {'import' if down[at] == 1 else 'imports'} down"))
    return page(len(layers) * (BOX + 8) + 12, parts)


def without_sizes(figure: str) -> str:
    """A figure for comparison: sizes may lag behind the code until the pages are next written, structure may not."""
    return re.sub(r"[\d,]+ (file|line|import)s?", r"\1s", figure)


def main() -> None:
    """Write the figures, or say which are stale."""
    figures = {"floors": floors()} | {name: life(steps) for name, steps in LIVES.items()}
    stale = []
    for name, content in figures.items():
        path = TARGET / f"{name}.svg"
        if "--check" not in sys.argv:
            path.write_text(content, encoding="utf-8")
        elif not path.is_file() or without_sizes(path.read_text(encoding="utf-8")) != without_sizes(content):
            stale.append(path.name)
    if stale:
        raise SystemExit(f"stale: {', '.join(stale)}; run tools/architecture.py")


if __name__ == "__main__":
    main()
