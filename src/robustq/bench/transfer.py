"""Whose adversarial inputs fool whom: every model attacked, every model asked (Papernot et al. 2016).

All players of one seed meet on the same test inputs: each makes its adversarial inputs white-box, and
each is asked about everybody's. Random noise of the same threat is a source too: what transfers no better
than noise has not transferred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from robustq import stats
from robustq.atomic import write_atomically
from robustq.attacks import run_attack
from robustq.bench.device import Quantum, check_fits
from robustq.bench.entrants import Entrant, build, key_of
from robustq.bench.matrix import Cell, Matrix, Player, read_matrix
from robustq.bench.outside import outsiders, packages
from robustq.bench.runner import Job, Progress, claimed, in_processes
from robustq.bench.spec import Spec, completed
from robustq.bench.stages import bits, pack
from robustq.bench.summary import unit_folder, versions
from robustq.bench.unit import read_stage, stage, trained
from robustq.contracts import Classifier, QuantumClassifier, check_logits
from robustq.data import Dataset, RawData
from robustq.defences.saved import load
from robustq.errors import SpecError
from robustq.models import RBFSVM
from robustq.models.catalogue import MODELS
from robustq.seeding import torch_generator

DEFAULTS = ("qnn", "reuploading", "hybrid", "mlp", "logistic")
NOISE = "noise"  # the source that is no model


@dataclass(frozen=True)
class Seat:
    """One row and column: a trained model, noise-free or on the specification's device.

    >>> Seat(Entrant("quantum", "qnn"), on_device=True).key
    'qnn-on-device'
    """

    entrant: Entrant
    on_device: bool = False

    @property
    def key(self) -> str:
        """Its id in the matrix."""
        return self.entrant.model + ("-on-device" if self.on_device else "")

    def label(self, spec: Spec) -> str:
        """What the matrix calls it."""
        device = spec.noise.calibrated()
        return self.entrant.label + (f" on {device.name}" if self.on_device and device else "")


def transfer(spec: Spec, run: Path, *, workers: int | None = None, progress: Progress | None = None) -> Matrix:
    """Train every model over all seeds, attack each at the reference eps, ask every other.

    Killed and called again in the same folder it continues; one seed gives the same bytes, whatever the
    number of ``workers``.

    Args:
        spec: data, threat, training, attack, seeds; ``transfer.models``; ``noise.device`` adds a noisy
            twin of ``model``.
        run: the run folder.
        workers: processes; the number of cores by default.
        progress: told after every unit.

    Raises:
        SpecError: if a model cannot be built for the data, or the device cannot run it.
        RunError: if the folder belongs to something else, or a worker died.
    """
    raw = spec.raw()
    spec = chosen(completed(spec, raw), raw)
    data, everyone = spec.dataset(), seats(spec)
    _try_out(spec, data, everyone)
    with claimed(run, spec, "transfer"):
        text = spec.model_dump_json()
        units = [(seat, seed) for seed in range(spec.seeds) for seat in everyone if not seat.on_device]
        making = [
            Job(f"{seat.label(spec)}, seed {seed}", craft, (text, seat.entrant, seed, run)) for seat, seed in units
        ]
        asking = [Job(f"asking, seed {k}", confront, (text, k, run)) for k in range(spec.seeds)]
        in_processes([making, asking], workers, progress or (lambda *_: None))
        write_atomically(run / "transfer.json", summarise(run, spec, data).to_bytes())
    return read_matrix(run)


def chosen(spec: Spec, raw: RawData) -> Spec:
    """The specification with its players written out: five models, and a CNN where there are images.

    >>> from robustq.bench.spec import parse
    >>> spec = parse({"data": {"name": "iris"}})
    >>> chosen(spec, spec.raw()).transfer.models
    ['qnn', 'reuploading', 'hybrid', 'mlp', 'logistic']
    """
    names = spec.transfer.models
    if names is None:
        extra = ("cnn",) if raw.kind == "image" and "cnn" in MODELS else ()
        names = list(dict.fromkeys((spec.model.name, *DEFAULTS, *extra)))
    if len(names) < 2:
        raise SpecError(f"transfer.models: expected two models or more, got {names}")
    update = {"transfer": spec.transfer.model_copy(update={"models": names})}
    return spec.model_copy(update=update)


def seats(spec: Spec) -> list[Seat]:
    """Everyone at the table; the specification's own model sits there twice if it names a device."""
    found = []
    for name in spec.transfer.models or []:
        own = name == spec.model.name
        entrant = Entrant("quantum" if own else key_of(name), name, matched=name == "mlp")
        found.append(Seat(entrant))
        if own and spec.noise.calibrated() is not None:
            found.append(Seat(entrant, on_device=True))
    return found


def _try_out(spec: Spec, data: Dataset, everyone: list[Seat]) -> None:
    """Build every model once and run it on one row: wrong options fail here, before any work."""
    features, classes = data.x_train.shape[1], len(data.classes)
    for seat in everyone:
        model = build(seat.entrant, spec, features, classes, 0)
        if not isinstance(model, RBFSVM):
            with torch.no_grad():
                check_logits(model(torch.full((1, features), 0.5)), 1)
        if seat.on_device:
            check_fits(model, spec.noise.calibrated())


@lru_cache(maxsize=2)
def _known(text: str) -> tuple[Spec, Dataset]:
    spec = Spec.model_validate_json(text)
    return spec, spec.dataset()


def craft(text: str, entrant: Entrant, seed: int, run: Path) -> str:
    """Train one model, make its adversarial inputs (and its noisy twin's), save both."""
    spec, data = _known(text)
    folder = unit_folder(run, entrant, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model = trained(spec, data, entrant, seed, folder).requires_grad_(False)
    for seat in seats(spec):
        if seat.entrant == entrant and _crafted(run, seat, seed) is None:
            _craft(model, seat, seed, run, spec, data)
    return folder.name


def _craft(model: torch.nn.Module, seat: Seat, seed: int, run: Path, spec: Spec, data: Dataset) -> None:
    """The strongest candidate for every test input, flipped or not, and what finding it cost."""
    x, y = data.tensors("test")
    found = run_attack(
        spec.attack.build(),
        _asked(model, spec, seat),
        x,
        y,
        spec.threat.build(spec.threat.reference),
        generator=torch_generator(spec.seed, seed, "transfer", seat.key),
    )
    content, path = save_tensors({"x_adv": found.x_adv.contiguous()}), _inputs_path(run, seat, seed)
    record = {
        "inputs_sha256": hashlib.sha256(content).hexdigest(),
        "queries": found.queries,
        "gradients": found.gradients,
    }
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path, content)
    stage(path.with_suffix(".json"), lambda: record)


def _asked(model: torch.nn.Module, spec: Spec, seat: Seat) -> Classifier:
    """The model as this seat plays it."""
    if seat.on_device:
        assert isinstance(model, Quantum)
        return model.freeze(spec.noise.calibrated())
    return model.freeze() if isinstance(model, QuantumClassifier) else model


def _inputs_path(run: Path, seat: Seat, seed: int) -> Path:
    kind = "adversarial-on-device" if seat.on_device else "adversarial"
    return unit_folder(run, seat.entrant, seed) / f"{kind}.safetensors"


def _crafted(run: Path, seat: Seat, seed: int) -> Tensor | None:
    """The saved adversarial inputs; None if they are missing or damaged."""
    path = _inputs_path(run, seat, seed)
    record = read_stage(path.with_suffix(".json"))
    content = path.read_bytes() if path.exists() else b""
    if record is None or hashlib.sha256(content).hexdigest() != record["inputs_sha256"]:
        return None
    return load_tensors(content)["x_adv"]


def confront(text: str, seed: int, run: Path) -> str:
    """Ask every player of one seed about everybody's inputs; saved with a digest of what was asked."""
    spec, data = _known(text)
    x, y = data.tensors("test")
    stream = torch_generator(spec.seed, seed, "transfer", NOISE)
    inputs = {NOISE: spec.threat.build(spec.threat.reference).sample(x, stream)}
    for seat in seats(spec):
        found = _crafted(run, seat, seed)
        assert found is not None
        inputs[seat.key] = found
    path = run / "units" / f"transfer-{seed}.json"
    asked = hashlib.sha256(save_tensors(inputs)).hexdigest()
    if (read_stage(path) or {}).get("asked") != asked:
        path.unlink(missing_ok=True)
    stage(path, lambda: {"asked": asked, **_outcomes(spec, seed, run, inputs, (x, y))})
    return path.name


def _outcomes(
    spec: Spec, seed: int, run: Path, inputs: Mapping[str, Tensor], clean: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Bits: whose clean inputs are right, and who is right about whose adversarial inputs."""
    x, y = clean
    right: dict[str, Any] = {"clean": {}, "under": {key: {} for key in inputs}}
    for seat in seats(spec):
        kept = load(unit_folder(run, seat.entrant, seed), allow=packages(spec))
        model = _asked(kept.requires_grad_(False), spec, seat)
        with torch.no_grad():
            right["clean"][seat.key] = pack(model(x).argmax(1) == y)
            for source, x_adv in inputs.items():
                right["under"][source][seat.key] = pack(model(x_adv).argmax(1) == y)
    return right


def summarise(run: Path, spec: Spec, data: Dataset) -> Matrix:
    """The matrix of a run whose seeds have all been asked."""
    paths = [run / "units" / f"transfer-{seed}.json" for seed in range(spec.seeds)]
    outcomes = [found for found in map(read_stage, paths) if found is not None]
    targets = [_player(run, spec, seat, outcomes) for seat in seats(spec)]
    none = Player(key=NOISE, label="random noise", family="none", parameters=0, correct=[])
    sources = [*targets, none]
    few = f", {' vs '.join(data.classes)}" if len(data.classes) <= 4 else ""
    return Matrix(
        title=spec.title or f"Transfer on {data.name}{few}",
        versions=versions(*outsiders(spec)),
        spec=spec.model_dump(),
        spec_sha256=spec.content_id,
        data=dict(data.record),
        threat=str(spec.threat.build(spec.threat.reference)),
        attack=str(spec.attack.build()),
        confidence=spec.confidence,
        inputs=len(data.x_test),
        majority=int(np.bincount(data.y_test).max()),
        seeds=spec.seeds,
        sources=sources,
        targets=targets,
        cells=[_cell(s.key, t.key, outcomes, spec) for s in sources for t in targets],
    )


def _player(run: Path, spec: Spec, seat: Seat, outcomes: list[dict[str, Any]]) -> Player:
    record = read_stage(unit_folder(run, seat.entrant, 0) / "train.json") or {}
    return Player(
        key=seat.key,
        label=seat.label(spec),
        family=seat.entrant.family,
        parameters=record["parameters"],
        correct=[int(bits(o["clean"][seat.key]).sum()) for o in outcomes],
    )


def _cell(source: str, target: str, outcomes: list[dict[str, Any]], spec: Spec) -> Cell:
    """Counts over the inputs that the target gets right, with the interval of their ratio."""
    correct = np.array([bits(o["clean"][target]) for o in outcomes])
    flipped = correct * (1 - np.array([bits(o["under"][source][target]) for o in outcomes]))
    found = stats.ratio(flipped, correct, spec.confidence)
    return Cell(
        source=source,
        target=target,
        flipped=[int(n) for n in flipped.sum(1)],
        correct=[int(n) for n in correct.sum(1)],
        low=round(found.low, 6),
        high=round(found.high, 6),
    )
