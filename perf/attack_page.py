"""A comparison of attacks as Markdown: what each library reaches, then every attack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from perf.attack_peers import LIBRARIES
from perf.attacks import TOGETHER, attacks
from perf.compare import Row
from perf.machine import machine
from perf.markers import inject
from perf.options import Options
from perf.page import machine_line, table

PAGE, STORE = Path("docs/attack-peers.md"), Path("runs/attacks.json")
DISTRIBUTIONS = ("torch", "adversarial-robustness-toolbox", "foolbox", "pyautoattack", "numba")


def run(options: Options, *, store: str | None, page: Path | None, again: bool) -> str:
    """Measure (or, ``again``, read what was measured), store, and write the page; the Markdown."""
    kept = Path(store or STORE)
    if again:
        results = json.loads(kept.read_text(encoding="utf-8"))
    else:
        results = {"machine": machine(DISTRIBUTIONS), "rows": attacks(options)}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
    target, block = page or PAGE, markdown(results)
    text = inject(target.read_text(encoding="utf-8"), block, "attacks")
    target.write_text(text, encoding="utf-8")
    return block


def markdown(results: dict[str, Any]) -> str:
    """The machine, the summary, and one table for each model and budget."""
    rows: list[Row] = results["rows"]
    parts = [machine_line(results["machine"]), "### Lowest of each library"]
    parts.append(table([_summary(scene) for scene in _scenes(rows)]))
    for scene in _scenes(rows):
        first = scene[0]
        parts.append(f"### {first['model']}, {first['threat']}, {first['rows']} rows")
        hidden = ("subject", "model", "rows", "threat")
        parts.append(table([{k: v for k, v in row.items() if k not in hidden} for row in scene]))
    return "\n\n".join(parts) + "\n"


def _scenes(rows: Sequence[Row]) -> Iterator[list[Row]]:
    keys = dict.fromkeys((row["model"], row["threat"]) for row in rows)
    for key in keys:
        yield [row for row in rows if (row["model"], row["threat"]) == key]


def _summary(scene: Sequence[Row]) -> Row:
    """Robust accuracy of each library's best attack, and of all its attacks together with their time."""
    line = {name: scene[0][name] for name in ("model", "threat")} | {"clean": scene[0]["robust %"]}
    for name in LIBRARIES:
        mine = [row for row in scene if row["library"] == name and "robust %" in row]
        single = [row["robust %"] for row in mine if row["attack"] != TOGETHER]
        for row in mine if single else []:
            if row["attack"] == TOGETHER:
                told = f"{min(single):.1f} / {row['robust %']:.1f} ({row['seconds']:.1f} s)"
                line[f"{name}: best / together"] = told
    return line
