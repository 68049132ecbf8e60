"""``robustq tamper``: touch the machine of a saved model in the place of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from robustq import stats, tampering
from robustq.attacks.catalogue import ATTACKS
from robustq.bench.options import check_options
from robustq.catalogue import Entry, resolve
from robustq.cli.console import as_rate, print_json, print_lines
from robustq.cli.pairs import parse_options
from robustq.cli.saved import Saved, saved
from robustq.contracts import CircuitClassifier
from robustq.errors import SpecError
from robustq.seeding import torch_generator
from robustq.tampering.catalogue import SEARCHES, TAMPERINGS


def tamper(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    name: Annotated[str, typer.Option("--with", help="Name in `robustq list tamperings`.")],
    eps: Annotated[float | None, typer.Option(help="Largest size of the change.")] = None,
    norm: Annotated[str | None, typer.Option(help="linf or l2.")] = None,
    at_most: Annotated[int | None, typer.Option(help="How many settings may be turned.")] = None,
    more: Annotated[list[str] | None, typer.Option("--set", help="Another option, as p=0.1.")] = None,
    attack: Annotated[str | None, typer.Option(help="The search; default: as the list says.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, for attacks that take them.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Restarts, for attacks that take them.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of the attack's randomness.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Tamper with the machine of a saved model, beside random settings of equal budget."""
    given = {"eps": eps, "norm": norm, "at_most": at_most, **parse_options(more or [], "p=0.1")}
    entry = resolve("tampering", name, TAMPERINGS)
    touched = _made("tampering", name, TAMPERINGS, given)
    search = attack or entry.search
    found = _made("attack", search, {**ATTACKS, **SEARCHES}, {"steps": steps, "restarts": restarts})
    kept = saved(model)
    if not isinstance(kept.model, CircuitClassifier):
        raise SpecError("tamper: expected a quantum or hybrid model, got a classical one")
    verdict = _verdict(kept, kept.model, touched, found, seed)
    (print_json if as_json else print_lines)(verdict)


def _made(kind: str, name: str, entries: Mapping[str, Entry[Any]], options: Mapping[str, Any]) -> Any:
    kept = {key: value for key, value in options.items() if value is not None}
    entry = resolve(kind, name, entries)
    check_options(f"{kind} {name}", entry, kept)
    try:
        return entry.make(**kept)
    except TypeError as failure:
        raise SpecError(f"{kind} {name!r}: expected options of other types, got {kept} ({failure})") from failure


def _verdict(kept: Saved, model: CircuitClassifier, touched: Any, search: Any, seed: int) -> dict[str, Any]:
    """Rates with intervals over the test inputs (one model, so seeds are not in them)."""
    stream, (x, y) = torch_generator(seed, "tamper"), kept.test
    if isinstance(touched, tampering.CircuitTrojan):
        planted = tampering.plant(touched, model, x, y, attack=search, generator=stream)
        return _told(touched, search, _of_trojan(planted), planted, len(x))
    result = tampering.tamper(touched, model, x, y, attack=search, generator=stream)
    rates = {
        "clean_accuracy": _rate(result.correct),
        "accuracy_under_attack": _rate(result.robust),
        "accuracy_under_random_settings": _rate(result.correct & ~result.random_success),
    }
    return _told(touched, search, rates, result, len(x)) | {
        "size_of_the_change": result.distance,
        "turned_most": dict(result.turned()),
    }


def _told(touched: Any, search: Any, rates: dict[str, Any], result: Any, inputs: int) -> dict[str, Any]:
    return {
        "tampering": str(touched),
        "attack": str(search),
        "inputs": inputs,
        **rates,
        "p_value_against_random": result.p_value,
        "forward_passes": result.queries,
        "gradients": result.gradients,
    }


def _of_trojan(found: tampering.TrojanResult) -> dict[str, Any]:
    return {
        "clean_accuracy": found.clean_accuracy,
        "accuracy_with_trojan": found.trojan_accuracy,
        "accuracy_with_random_gates": found.random_accuracy,
        "triggered_to_target_without_trojan": found.trigger_success,
        "triggered_to_target_with_trojan": found.attack_success,
        "triggered_to_target_with_random_gates": found.random_success,
    }


def _rate(outcomes: Tensor) -> list[float]:
    return as_rate(stats.proportion(outcomes.double().cpu().numpy()))
