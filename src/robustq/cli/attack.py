"""``robustq attack``: attack a saved model on the test data it was trained for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from robustq import stats
from robustq.attacks import run_attack
from robustq.attacks.catalogue import ATTACKS
from robustq.bench.adversarial import AdversarialSet
from robustq.bench.device import Quantum, attack_on, check_fits
from robustq.bench.records import versions
from robustq.bench.spec import AttackSpec, ThreatSpec, check_meant_for
from robustq.catalogue import resolve
from robustq.cli.console import as_rate, in_words, notes, print_json, print_lines
from robustq.cli.pairs import parse_threat
from robustq.cli.paths import check_writable
from robustq.cli.saved import Saved, saved
from robustq.contracts import Attack, AttackResult, Threat
from robustq.data import Dataset
from robustq.errors import SpecError, unknown_name
from robustq.report import shown, write_examples
from robustq.seeding import torch_generator
from robustq.threats import Access
from robustq.threats.ball import Ball

EXAMPLES = 12


def attack(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    name: Annotated[str, typer.Option("--attack", help="Name in `robustq list attacks`.")] = "quantum-auto",
    threat: Annotated[str, typer.Option(help="THREAT:EPS, such as linf:0.1 or l2:0.5.")] = "linf:0.05",
    frozen: Annotated[str | None, typer.Option(help="Features held fixed, names or numbers from 0: 'PC1,2'.")] = None,
    knowledge: Annotated[str, typer.Option(help="What the attacker sees: white-box, scores, labels.")] = "white-box",
    queries: Annotated[int | None, typer.Option(min=1, help="Most queries an input.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, for attacks that take them.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Restarts, for attacks that take them.")] = None,
    device: Annotated[str | None, typer.Option(help="Attack it on this device: a name, or a .json.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of the attack's randomness.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Folder for the attacked inputs and the worst.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Attack a saved model on its own test data and give the verdict."""
    options = {k: v for k, v in (("steps", steps), ("restarts", restarts)) if v is not None}
    chosen = AttackSpec(name=name, options=options).build()
    access = Access(knowledge, queries)
    _check_access(name, access)
    _threat(threat, None, None)
    check_meant_for(name, threat.partition(":")[0])
    if to is not None:
        check_writable(to)
    kept = saved(model, device)
    limit = _threat(threat, frozen, kept.data)
    _warn_of_covered_box(limit, kept.test[0])
    result = _attack(kept, chosen, limit, torch_generator(seed, "attack"), access)
    found = _verdict(result, str(chosen), str(limit), str(access))
    found |= {"device": kept.device.name} if kept.device else {}
    if to is not None:
        _save(to, kept, result, found | {"model": str(model), "seed": seed}, versions(name))
        notes().print(f"adversarial set and its worst examples: {to}", soft_wrap=True)
    (print_json if as_json else print_lines)(found)


def _check_access(name: str, access: Access) -> None:
    """Refuse an attack that needs more than the attacker sees, before anything is loaded."""
    needed = resolve("attack", name, ATTACKS).knowledge
    if not access.shows(needed):
        expected = "a white-box attacker" if needed == "white-box" else f"an attacker who sees {needed}"
        raise SpecError(f"attack {name!r}: expected {expected}, got {access}")


def _attack(kept: Saved, attack: Attack, threat: Threat, stream: torch.Generator, access: Access) -> AttackResult:
    (x, y), device = kept.test, kept.device
    if device is None:
        return run_attack(attack, kept.model, x, y, threat, generator=stream, access=access)
    if not isinstance(kept.model, Quantum):
        raise SpecError("--device: expected a quantum or hybrid model, got a classical one")
    if access != Access():
        raise SpecError(f"--device: expected a white-box attacker without limits, got {access}")
    check_fits(kept.model, device)
    return attack_on(kept.model, device, attack, x, y, threat, generator=stream)


def _threat(text: str, frozen: str | None, data: Dataset | None) -> Threat:
    name, eps = parse_threat(text, "linf:0.1")
    held = [] if frozen is None or data is None else _indices(frozen, list(data.features))
    return ThreatSpec(name=name, frozen=held).build(eps)


def _warn_of_covered_box(threat: Threat, x: Tensor) -> None:
    """The audit's flag of the same name, where a single attack is not audited."""
    covered = int(threat.covers_box(x).sum()) if isinstance(threat, Ball) else 0
    if covered:
        notes().print(
            f"budget-covers-box: for {covered} of {len(x)} inputs the whole box lies within the budget, "
            "so that any input is allowed",
            style="yellow",
            soft_wrap=True,
        )


def _indices(text: str, features: list[str]) -> list[int]:
    """Features named by what the data calls them, or by number."""
    found = []
    for word in (part.strip() for part in text.split(",")):
        if word in features:
            found.append(features.index(word))
        elif word.isdigit() and int(word) < len(features):
            found.append(int(word))
        else:
            raise unknown_name("feature", word, features)
    return found


def _verdict(result: AttackResult, attack: str, threat: str, access: str) -> dict[str, Any]:
    """Rates with intervals over the test inputs (one model, so seeds are not in them)."""
    correct, robust = result.correct.double().numpy(), result.robust.double().numpy()
    rates = {
        "clean_accuracy": stats.proportion(correct),
        "robust_accuracy": stats.proportion(robust),
        "attack_success_rate": stats.ratio(correct - robust, correct),
    }
    moved = result.radius[result.success]
    return {
        "attack": attack,
        "threat": threat,
        "attacker": access,
        "inputs": len(correct),
        **{name: as_rate(rate) for name, rate in rates.items()},
        "median_distance_of_successes": float(moved.median()) if len(moved) else None,
        "forward_passes": result.queries,
        "input_gradients": result.gradients,
    }


def _save(
    folder: Path, kept: Saved, result: AttackResult, found: dict[str, Any], made_with: Mapping[str, str]
) -> None:
    """The adversarial set, and a page with the flips that the model was surest of."""
    data, (x, y) = kept.data, kept.test
    record = {**found, "data": dict(data.record), "versions": made_with}
    stored = AdversarialSet.of(x, y, result, record)
    stored.save(folder)
    with torch.no_grad():
        before, after = (torch.softmax(kept.model(z).double(), dim=1) for z in (x, result.x_adv))
    worst = stored.surest(before, after, EXAMPLES)
    facts = {key.replace("_", " "): in_words(value) for key, value in found.items()}
    shape = list(data.image_shape) if data.image_shape else None
    drawn = [shown(example, data.classes, list(data.features), shape) for example in worst]
    write_examples(folder / "examples.html", drawn, title=f"Worst examples: {data.name}", facts=facts)
