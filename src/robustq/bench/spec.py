"""The specification of an assessment: what a TOML file may say, and its defaults."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from robustq.attacks.catalogue import ATTACKS
from robustq.bench.options import Table, check_options, hint, make
from robustq.bench.recipes import Given, RecipeSpec, inner_attack
from robustq.bench.studies.codesign.space import CodesignSpec
from robustq.catalogue import resolve
from robustq.certify.catalogue import CERTIFICATES
from robustq.circuits.catalogue import ENCODINGS
from robustq.contracts import Attack, Certifier, Threat
from robustq.data import Dataset, RawData, load, prepare
from robustq.defences import Recipe
from robustq.defences.catalogue import DEFENCES
from robustq.errors import SpecError
from robustq.mitigation.catalogue import MITIGATIONS, USUAL
from robustq.mitigation.catalogue import build as mitigation
from robustq.mitigation.plan import Technique
from robustq.models import Training
from robustq.models.catalogue import MODELS
from robustq.noise import Device
from robustq.noise.drift import SCENARIOS
from robustq.runs import canonical
from robustq.threats.catalogue import THREATS

EPS_GRID = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2]
DRIFTS = ["t1-drop", "gate-error-doubling", "readout-shift", "crosstalk"]  # those without chance


class DataSpec(Table):
    """Which data, how much of it, and how it is reduced to the model's inputs."""

    name: str
    classes: list[str] | None = Field(None, description="keep these classes only, in this order")
    reduction: str = Field("auto", description="auto, none, pca, select, resize, svd")
    features: int | None = Field(None, ge=1, description="model inputs; chosen from the data if absent")
    train_size: int = Field(2000, ge=4, description="training rows at most, stratified")
    test_size: int = Field(500, ge=4, description="test rows at most, stratified")


class ModelSpec(Table):
    """The quantum (or hybrid) model under test."""

    name: str = "qnn"
    options: dict[str, Any] = Field(default_factory=dict, description="the builder's options")


class TrainingSpec(Table):
    """How every gradient-trained model is trained."""

    epochs: int = 30
    batch_size: int = 32
    lr: float = 0.02
    validation: float = 0.15
    patience: int = 12

    def build(self) -> Training:
        """As the value that ``fit`` takes."""
        return Training(**self.model_dump())


class ThreatSpec(Table):
    """What the adversary may do to the model's inputs, which lie in [0, 1]."""

    name: str = "linf"
    eps: list[float] = Field(default_factory=lambda: list(EPS_GRID), min_length=1)
    reference: float = Field(0.05, description="the eps of the headline; one of the grid")
    frozen: list[int] = Field(default_factory=list, description="features that cannot be changed")
    scale: list[float] | None = Field(None, description="what eps = 1 is for each feature; 1 if absent")

    def build(self, eps: float) -> Threat:
        """The threat at one budget."""
        threat: Threat = resolve("threat", self.name, THREATS).make(
            eps, box=(0.0, 1.0), frozen=self.frozen, scale=None if self.scale is None else tuple(self.scale)
        )
        return threat


class AttackSpec(Table):
    """The attack that robust accuracy is measured with."""

    name: str = "pgd"
    options: dict[str, Any] = Field(default_factory=dict)

    def build(self) -> Attack:
        """As a value."""
        attack: Attack = make("attack", self.name, ATTACKS, self.options)
        return attack


class DefenceSpec(Table):
    """The defence of the twins; ``none`` leaves them out."""

    name: str = "adversarial-training"
    eps: float | None = Field(None, ge=0, description="training budget; the reference eps if absent")
    steps: int = Field(5, ge=1, description="of the inner attack")
    options: dict[str, Any] = Field(default_factory=dict, description="the defence's own")

    def build(self, threat: ThreatSpec, device: Device | None = None) -> Recipe | None:
        """As a value, or None."""
        if resolve("defence", self.name, DEFENCES).null:
            return None
        given = self.given(threat, device)
        return RecipeSpec(name=self.name, options=self.options).build(given)

    def given(self, threat: ThreatSpec, device: Device | None = None) -> Given:
        """What every defence of the specification starts from."""
        eps = threat.reference if self.eps is None else self.eps
        return Given(inner_attack(self.steps), threat.build(eps), device)


class NoiseSpec(Table):
    """The noise of the quantum entrants: two sweeps and, if one is named, a calibrated device."""

    gate_error: list[float] = Field(default_factory=lambda: [0.002, 0.005, 0.01, 0.02, 0.05], min_length=1)
    readout_error: list[float] = Field(default_factory=lambda: [0.01, 0.02, 0.05, 0.1, 0.2], min_length=1)
    shots: int = Field(1000, ge=1, le=10**9)
    device: str | dict[str, Any] | None = Field(
        None, description="a name in `robustq list devices`, a snapshot's file, or its content"
    )
    drift: list[str] | None = Field(
        None, description="names in `robustq list drifts`; with a device, those that need no chance"
    )

    def calibrated(self) -> Device | None:
        """The device, if any."""
        if isinstance(self.device, dict):
            return Device.from_data(self.device)
        return None if self.device is None else Device.bundled(self.device)


class CertificateSpec(Table):
    """What is proved about the quantum entrants; ``vacuous`` leaves it out."""

    name: str = "auto"
    options: dict[str, Any] = Field(default_factory=dict)

    def build(self) -> Certifier | None:
        """As a value, or None."""
        if resolve("certificate", self.name, CERTIFICATES).null:
            return None
        certifier: Certifier = make("certificate", self.name, CERTIFICATES, self.options)
        return certifier


class MitigationSpec(Table):
    """Error mitigation of the quantum entrants on the calibrated device, if one is named."""

    names: list[str] | None = Field(
        None, description="in `robustq list mitigations`, stacked by +; the usual ones with a device, [] for none"
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="for each single name, its technique's own"
    )
    inputs: int = Field(100, ge=1, description="test inputs that are attacked and repeated, at most")
    repeats: int = Field(10, ge=2, description="how often shots are drawn, to see how they scatter")

    def techniques(self) -> dict[str, Technique]:
        """Every technique by the name it was asked for; the first does nothing."""
        chosen = USUAL if self.names is None else self.names
        return {name: mitigation(name, self.options) for name in ("none", *chosen)}


class UncertaintySpec(Table):
    """What is asked of the models' confidence."""

    alpha: float = Field(0.1, gt=0, lt=1, description="share of conformal sets that may miss")
    share: float = Field(0.1, gt=0, lt=1, description="of the inputs that is not answered")
    draws: int = Field(8, ge=1, description="answers from finite shots of each input")
    repeats: int = Field(20, ge=1, description="halvings of the test inputs to calibrate and judge")


class BaselineSpec(Table):
    """The classical models that stand beside the quantum one."""

    names: list[str] = Field(default_factory=lambda: ["mlp", "logistic", "svm-rbf"])
    defended: bool = Field(True, description="also train a defended twin of the matched mlp")


class TransferSpec(Table):
    """Whose adversarial inputs are tried on whom."""

    models: list[str] | None = Field(
        None, description="names in `robustq list models`; chosen from the data if absent"
    )


class Specification(BaseModel):
    """What every study reads; a study's own adds the tables that it reads besides."""

    model_config = Table.model_config

    data: DataSpec
    title: str | None = None
    seed: int = Field(0, ge=0)
    seeds: int = Field(5, ge=1, le=1000)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    threat: ThreatSpec = ThreatSpec()
    attack: AttackSpec = AttackSpec()
    noise: NoiseSpec = NoiseSpec()

    @property
    def content_id(self) -> str:
        """SHA-256 of the canonical specification, defaults filled in."""
        return hashlib.sha256(canonical(self.model_dump()).encode()).hexdigest()

    def raw(self) -> RawData:
        """The data, classes selected."""
        raw = load(self.data.name)
        return raw if self.data.classes is None else raw.only(tuple(self.data.classes))

    def dataset(self, raw: RawData | None = None) -> Dataset:
        """The data, prepared; from ``raw`` where it is loaded already."""
        return prepare(
            raw or self.raw(),
            reduction=self.data.reduction,
            features=self.data.features,
            train_size=self.data.train_size,
            test_size=self.data.test_size,
            seed=self.seed,
        )


class AssessmentSpecification(Specification):
    """What `robustq assess` reads."""

    defence: DefenceSpec = DefenceSpec()
    certificate: CertificateSpec = CertificateSpec()
    mitigation: MitigationSpec = MitigationSpec()
    uncertainty: UncertaintySpec = UncertaintySpec()
    baselines: BaselineSpec = BaselineSpec()


class DefenceSpecification(Specification):
    """What `robustq defend` reads."""

    defence: DefenceSpec = DefenceSpec()
    certificate: CertificateSpec = CertificateSpec()
    baselines: BaselineSpec = BaselineSpec()
    recipes: list[RecipeSpec] = Field(default_factory=list)


class TransferSpecification(Specification):
    """What `robustq transfer` reads."""

    transfer: TransferSpec = TransferSpec()


class CodesignSpecification(Specification):
    """What `robustq codesign` reads."""

    defence: DefenceSpec = DefenceSpec()
    certificate: CertificateSpec = CertificateSpec()
    codesign: CodesignSpec = CodesignSpec()


S = TypeVar("S", bound=Specification)


class Spec(Specification):
    """All that a file may say: the tables of every study, of which each leaves out those of the others."""

    defence: DefenceSpec = DefenceSpec()
    certificate: CertificateSpec = CertificateSpec()
    mitigation: MitigationSpec = MitigationSpec()
    uncertainty: UncertaintySpec = UncertaintySpec()
    baselines: BaselineSpec = BaselineSpec()
    transfer: TransferSpec = TransferSpec()
    recipes: list[RecipeSpec] = Field(
        default_factory=list, description="the rows of `robustq defend`; chosen if absent"
    )
    codesign: CodesignSpec = CodesignSpec()

    def of(self, study: type[S]) -> S:
        """The specification of one study.

        >>> spec = parse({"data": {"name": "iris"}, "codesign": {"trials": 9}})
        >>> spec.of(TransferSpecification).transfer == spec.transfer
        True
        """
        return study(**{name: getattr(self, name) for name in study.model_fields})


def parse(content: Mapping[str, Any], *, folder: Path = Path()) -> Spec:
    """A checked specification from plain data; device files are looked for from ``folder``.

    Raises:
        SpecError: naming the first key, type, name or value that is wrong.

    >>> parse({"data": {"name": "iris"}}).seeds
    5
    """
    try:
        spec = Spec.model_validate(_embedded(content, folder))
    except ValidationError as failure:
        raise SpecError(_explain(failure, content)) from None
    _check_values(spec)
    return spec


def read(path: Path) -> Spec:
    """A checked specification from a TOML file, or from the ``spec.json`` of a run folder."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)["spec"] if path.suffix == ".json" else tomllib.loads(text)
    except OSError as failure:
        raise SpecError(f"expected a specification file, but {path} cannot be read") from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise SpecError(f"{path}: expected TOML: {failure}") from failure
    except (ValueError, LookupError, TypeError) as failure:
        raise SpecError(f"{path}: expected the spec.json of a run: {failure}") from failure
    return parse(content, folder=path.parent)


def _embedded(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A device named by its file is replaced by what is in the file, so that the content id covers it."""
    noise = content.get("noise")
    name = noise.get("device") if isinstance(noise, Mapping) else None
    if not isinstance(name, str) or not name.endswith(".json"):
        return dict(content)
    snapshot = json.loads(json.dumps(Device.load(folder / name).to_data()))
    return {**content, "noise": {**dict(noise or {}), "device": snapshot}}


def completed(spec: Spec, raw: RawData) -> Spec:
    """The specification with every choice that depends on the data written out.

    Images are averaged to at most 16 x 16 pixels and loaded as amplitudes; tables and texts become at
    most eight features, one rotation each. Read-out: Z of one qubit a class while that fits.
    """
    features, reduction = spec.data.features, spec.data.reduction
    if features is None and reduction in ("auto", "resize", "pca", "select", "svd"):
        features = _default_features(raw, reduction)
    options = dict(spec.model.options)
    if spec.model.name == "qnn":
        options.setdefault("encoding", "amplitude" if raw.kind == "image" else "angle")
        options.setdefault("layers", 6 if options["encoding"] == "amplitude" else 3)
        qubits = register(options["encoding"], features or raw.x_train[0].size)
        fits = len(raw.classes) <= min(4, qubits)
        options.setdefault("readout", "per-qubit-z" if fits else "basis-groups")
    return spec.model_copy(
        update={
            "data": spec.data.model_copy(update={"features": features}),
            "model": spec.model.model_copy(update={"options": options}),
            "noise": _with_drift(spec.noise),
            "mitigation": _with_techniques(spec),
        }
    )


def _with_drift(noise: NoiseSpec) -> NoiseSpec:
    absent = noise.device is not None and noise.drift is None
    return noise.model_copy(update={"drift": list(DRIFTS)}) if absent else noise


def _with_techniques(spec: Spec) -> MitigationSpec:
    if spec.mitigation.names is not None:
        return spec.mitigation
    names = list(USUAL) if spec.noise.device is not None else []
    return spec.mitigation.model_copy(update={"names": names})


def register(encoding: str, features: int) -> int:
    """Width of the register that an encoding makes of so many features."""
    return int(resolve("encoding", encoding, ENCODINGS).make(features).qubits)


def _default_features(raw: RawData, reduction: str) -> int:
    if raw.kind == "text":
        return 8
    if raw.kind == "image" and reduction in ("auto", "resize"):
        return int(min(16, raw.x_train.shape[1])) ** 2
    return int(min(8, raw.x_train[0].size))


def _check_values(spec: Spec) -> None:
    """Everything that can be wrong in a well-typed specification, before anything is run."""
    for eps in spec.threat.eps:
        spec.threat.build(eps)
    if sorted(set(spec.threat.eps)) != spec.threat.eps or spec.threat.eps[0] <= 0:
        raise SpecError(f"threat.eps: expected rising values > 0, got {spec.threat.eps}")
    if spec.threat.reference not in spec.threat.eps:
        raise SpecError(f"threat.reference: expected one of {spec.threat.eps}, got {spec.threat.reference}")
    _check_noise(spec.noise)
    spec.certificate.build()
    certificate = resolve("certificate", spec.certificate.name, CERTIFICATES)
    if not certificate.is_own:
        raise SpecError(
            f"certificate.name: expected a certificate of the model that is attacked, got "
            f"{spec.certificate.name!r}, which is about {certificate.about}"
        )
    spec.attack.build()
    attack = resolve("attack", spec.attack.name, ATTACKS)
    if attack.null:
        raise SpecError(f"attack.name: expected an attack that tries, got {spec.attack.name!r}")
    check_meant_for(spec.attack.name, spec.threat.name)
    if attack.model is not None:
        raise SpecError(f"attack.name: expected an attack on any model, got {spec.attack.name!r}")
    if len(set(spec.baselines.names)) != len(spec.baselines.names):
        raise SpecError(f"baselines.names: expected different names, got {spec.baselines.names}")
    spec.defence.build(spec.threat, spec.noise.calibrated())
    for recipe in spec.recipes:
        recipe.build(spec.defence.given(spec.threat, spec.noise.calibrated()))
    _check_mitigation(spec)
    spec.training.build()
    spec.codesign.check()
    chosen = spec.transfer.models or []
    if len(set(chosen)) != len(chosen):
        raise SpecError(f"transfer.models: expected different names, got {chosen}")
    for name in (spec.model.name, *spec.baselines.names, *chosen):
        resolve("model", name, MODELS)
    for name in spec.baselines.names:
        if resolve("model", name, MODELS).family != "classical":
            raise SpecError(f"baselines.names: expected classical models, got {name!r}")
    model = resolve("model", spec.model.name, MODELS)
    if model.family == "classical":
        raise SpecError(f"model.name: expected a quantum or hybrid model, got {spec.model.name!r}")
    check_options("model", model, spec.model.options)


def _check_noise(noise: NoiseSpec) -> None:
    """Possible levels, an existing device, and drifts that have one to act on."""
    for key in ("gate_error", "readout_error"):
        levels = getattr(noise, key)
        for level in levels:
            if not 0 < level <= 1:
                raise SpecError(f"noise.{key}: expected levels in (0, 1], got {level}")
        if sorted(set(levels)) != levels:
            raise SpecError(f"noise.{key}: expected rising levels, got {levels}")
    drift = noise.drift or []
    for name in drift:
        resolve("drift scenario", name, SCENARIOS)
    if len(set(drift)) != len(drift):
        raise SpecError(f"noise.drift: expected different names, got {drift}")
    if noise.calibrated() is None and drift:
        raise SpecError(f"noise.drift: expected a noise.device to drift, got none for {drift}")


def _check_mitigation(spec: Spec) -> None:
    """Known techniques with options they take, each once, and a device for them to work on."""
    for name, options in spec.mitigation.options.items():
        check_options("mitigation", resolve("mitigation", name, MITIGATIONS), options)
    names = spec.mitigation.names or []
    if len(set(names)) != len(names) or "none" in names:
        raise SpecError(f"mitigation.names: expected different names, none of them 'none', got {names}")
    if names and spec.noise.calibrated() is None:
        raise SpecError(f"mitigation.names: expected a noise.device, got none for {names}")
    spec.mitigation.techniques()


def check_meant_for(attack: str, threat: str) -> None:
    """Refuse an attack that cannot search a threat.

    >>> check_meant_for("ddn", "linf")
    Traceback (most recent call last):
        ...
    robustq.errors.SpecError: attack 'ddn': expected a threat of l2, got 'linf'
    """
    entry = resolve("attack", attack, ATTACKS)
    if not entry.is_meant_for(threat):
        raise SpecError(f"attack {attack!r}: expected a threat of {', '.join(entry.norms or ())}, got {threat!r}")


def _explain(failure: ValidationError, content: Mapping[str, Any]) -> str:
    """The first mistake in one line."""
    first = failure.errors()[0]
    branches = ("str", "dict[str,any]")  # how pydantic calls the sides of noise.device's union
    place = [str(part) for part in first["loc"] if part not in branches]
    where = ".".join(place)
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}: {hint(place[-1], _known_keys(place[:-1]))}"
    if first["type"] == "missing":
        return f"{where}: expected a value, got none"
    got = first.get("input", content)
    return f"{where}: {first['msg'].replace('Input should be', 'expected')}, got {got!r}"


def _known_keys(place: list[str]) -> list[str]:
    table: Any = Spec
    for part in place:
        table = table.model_fields[part].annotation
    return sorted(table.model_fields)
