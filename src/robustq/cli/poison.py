"""``robustq poison``: spoil the training data of a specification's model and measure the harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from robustq import bench, stats
from robustq.bench.entrants import Entrant, build
from robustq.bench.stages import pack
from robustq.catalogue import resolve
from robustq.cli.console import as_rate, out, print_json, progress_bar
from robustq.cli.specification import specification
from robustq.contracts import QuantumClassifier
from robustq.data import Dataset
from robustq.errors import SpecError
from robustq.models import fit
from robustq.poisoning import Poison, PoisonResult
from robustq.poisoning import poison as run_poison
from robustq.poisoning.catalogue import POISONINGS
from robustq.seeding import torch_generator
from robustq.threats import Poisoning


def poison(
    spec: Annotated[Path | None, typer.Argument(help="Specification (TOML).")] = None,
    data: Annotated[str | None, typer.Option(help="Poison this data set, with the defaults.")] = None,
    name: Annotated[str, typer.Option("--with", help="Name in `robustq list poisonings`.")] = "label-flip",
    budget: Annotated[float, typer.Option(help="Share of the training rows that may be changed or added.")] = 0.2,
    target: Annotated[int | None, typer.Option(help="Number of the class that the trigger brings, from 0.")] = None,
    trigger: Annotated[str | None, typer.Option(help="The backdoor's trigger: 'FEATURE:VALUE,...'.")] = None,
    classes: Annotated[str | None, typer.Option(help="Keep these classes only: '3,5'.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many victims of each kind to train.")] = None,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Train on clean, randomly changed and poisoned data, and compare on the same test inputs."""
    threat = Poisoning(budget, features=(0.0, 1.0))
    resolve("poisoning", name, POISONINGS)
    options = _options(name, target, trigger)
    chosen = specification(spec, data, classes, seeds, seed)
    chosen = bench.completed(chosen, chosen.raw())
    dataset = chosen.dataset()
    attack = _attack(name, options, chosen, dataset)
    with progress_bar(3 * chosen.seeds + 1) as advance:
        result = run_poison(
            attack,
            _victim(chosen, dataset, advance),
            *dataset.tensors("train"),
            *dataset.tensors("test"),
            budget=threat,
            generator=torch_generator(chosen.seed, "poison"),
            repeats=chosen.seeds,
        )
    found = _verdict(attack, result, chosen)
    if as_json:
        print_json(found | {"outcomes": _outcomes(result)})
    else:
        out().print("\n".join(f"{key.replace('_', ' ')}: {_shown(v)}" for key, v in found.items()))


def _options(name: str, target: int | None, trigger: str | None) -> dict[str, Any]:
    """The backdoor's options, refused for everything else."""
    found: dict[str, Any] = {} if target is None else {"target": target}
    if trigger is not None:
        found["values"] = _trigger(trigger)
    if found and name != "backdoor":
        raise SpecError(f"expected --target and --trigger with 'backdoor' only, got {name!r}")
    return found


def _trigger(text: str) -> tuple[tuple[int, float], ...]:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return tuple((int(feature), float(value)) for feature, value in pairs)
    except ValueError:
        raise SpecError(f"trigger: expected FEATURE:VALUE,... such as 0:1,3:0.5, got {text!r}") from None


def _attack(name: str, options: dict[str, Any], spec: bench.Spec, data: Dataset) -> Poison:
    if name == "quid":
        model = _untrained(spec, data, spec.seed)
        assert isinstance(model, QuantumClassifier)  # a specification's model is no other
        options = {"encoder": model.freeze()}
    made: Poison = POISONINGS[name].make(**options)
    return made


def _untrained(spec: bench.Spec, data: Dataset, seed: int) -> nn.Module:
    features = data.x_train.shape[1]
    return build(Entrant("quantum", spec.model.name), spec, features, len(data.classes), seed)


def _victim(
    spec: bench.Spec, data: Dataset, advance: Callable[[str, int, int], None]
) -> Callable[[Tensor, Tensor, torch.Generator], nn.Module]:
    """The specification's training loop, from the start angles to the trained model."""
    plan, trained = spec.training.build(), 0

    def train(x: Tensor, y: Tensor, generator: torch.Generator) -> nn.Module:
        nonlocal trained
        advance("training victims", trained, 3 * spec.seeds + 1)
        start = int(torch.randint(1 << 62, (), generator=generator))
        model = _untrained(spec, data, start)
        fit(model, x, y, generator=generator, training=plan)
        trained += 1
        advance("training victims", trained, 3 * spec.seeds + 1)
        return model.eval()

    return train


def _verdict(attack: Poison, result: PoisonResult, spec: bench.Spec) -> dict[str, Any]:
    """Rates with intervals over the test inputs and the seeds."""
    clean, random, poisoned = (each.double().numpy() for each in (result.clean, result.random, result.poisoned))
    seeds, inputs = result.clean.shape
    rates = {
        "accuracy_clean": stats.proportion(clean, spec.confidence),
        "accuracy_random": stats.proportion(random, spec.confidence),
        "accuracy_poisoned": stats.proportion(poisoned, spec.confidence),
        "loss_beyond_random": stats.difference(random, poisoned, spec.confidence),
    }
    for key, hits in (("trigger_success", result.hits), ("trigger_on_clean", result.clean_hits)):
        if hits is not None and hits.numel():
            rates[key] = stats.proportion(hits.double().numpy(), spec.confidence)
    return {
        "poisoning": str(attack),
        "threat": str(result.threat),
        "data": spec.data.name,
        "inputs": inputs,
        "seeds": seeds,
        "rows_touched": int(result.touched.max()),
        **{key: as_rate(rate) for key, rate in rates.items()},
        "p_value": result.p_value,
    }


def _outcomes(result: PoisonResult) -> dict[str, list[str]]:
    """A string of zeros and ones a seed."""
    tables = {name: getattr(result, name) for name in ("clean", "random", "poisoned", "hits", "clean_hits")}
    return {name: [pack(row) for row in table] for name, table in tables.items() if table is not None}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{100 * value[0]:.1f} % [{100 * value[1]:.1f}, {100 * value[2]:.1f}]"
    return f"{value:.2g}" if isinstance(value, float) else str(value)
