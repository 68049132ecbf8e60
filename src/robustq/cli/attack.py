"""``robustq attack``: attack a saved model on the test data it was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from robustq import stats
from robustq.atomic import write_atomically
from robustq.attacks import run_attack
from robustq.bench.device import Quantum, attack_on, check_fits
from robustq.bench.spec import AttackSpec, ThreatSpec
from robustq.cli.console import notes, print_json, print_lines
from robustq.cli.paths import check_writable
from robustq.cli.saved import saved
from robustq.contracts import Attack, AttackResult, Threat
from robustq.errors import SpecError
from robustq.noise import Device
from robustq.seeding import torch_generator


def attack(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    name: Annotated[str, typer.Option("--attack", help="Name in `robustq list attacks`.")] = "pgd",
    threat: Annotated[str, typer.Option(help="THREAT:EPS, such as linf:0.1 or l2:0.5.")] = "linf:0.05",
    steps: Annotated[int | None, typer.Option(help="Steps, for attacks that take them.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Restarts, for attacks that take them.")] = None,
    device: Annotated[str | None, typer.Option(help="Attack it on this device: a name, or a .json.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of the attack's randomness.")] = 0,
    to: Annotated[Path | None, typer.Option("--out", help="Save the attacked inputs here (safetensors).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:  # fmt: skip
    """Attack a saved model on its own test data and give the verdict."""
    options = {k: v for k, v in (("steps", steps), ("restarts", restarts)) if v is not None}
    chosen = AttackSpec(name=name, options=options).build()
    limit = _threat(threat)
    if to is not None:
        check_writable(to)
    kept = saved(model, device)
    x, y = kept.x, kept.y
    target = kept.spec.noise.calibrated() if device is not None else None
    result = _attacked(kept.model, target, chosen, x, y, limit, torch_generator(seed, "attack"))
    found = _verdict(result, str(chosen), str(limit))
    found |= {"device": target.name} if target else {}
    if to is not None:
        _save(to, x, y, result.x_adv, result.success)
        notes().print(f"attacked inputs: {to}", soft_wrap=True)
    if as_json:
        print_json(found)
    else:
        print_lines(found)


def _attacked(
    model: torch.nn.Module, device: Device | None, attack: Attack, x: torch.Tensor, y: torch.Tensor,
    threat: Threat, stream: torch.Generator,
) -> AttackResult:  # fmt: skip
    if device is None:
        return run_attack(attack, model, x, y, threat, generator=stream)
    if not isinstance(model, Quantum):
        raise SpecError("--device: expected a quantum or hybrid model, got a classical one")
    check_fits(model, device)
    return attack_on(model, device, attack, x, y, threat, generator=stream)


def _threat(text: str) -> Threat:
    name, _, eps = text.partition(":")
    try:
        value = float(eps)
    except ValueError:
        raise SpecError(f"threat: expected THREAT:EPS such as linf:0.1, got {text!r}") from None
    return ThreatSpec(name=name).build(value)


def _verdict(result: AttackResult, attack: str, threat: str) -> dict[str, Any]:
    """Rates with intervals over the test inputs (one model, so seeds are not in them)."""
    correct, robust = result.correct.double().numpy(), result.robust.double().numpy()
    rates = {
        "clean_accuracy": stats.proportion(correct),
        "robust_accuracy": stats.proportion(robust),
        "attack_success_rate": stats.ratio(correct - robust, correct),
    }
    moved = result.distance[result.success]
    return {
        "attack": attack,
        "threat": threat,
        "inputs": len(correct),
        **{k: [round(v, 6) for v in (r.value, r.low, r.high)] for k, r in rates.items()},
        "median_distance_of_successes": float(moved.median()) if len(moved) else None,
        "forward_passes": result.queries,
        "input_gradients": result.gradients,
    }


def _save(path: Path, *tensors: torch.Tensor) -> None:
    from safetensors.torch import save

    names = ("x", "y", "x_adv", "success")
    content = save(dict(zip(names, (t.contiguous() for t in tensors), strict=True)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
