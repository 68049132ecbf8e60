"""What an assessment proves, stores and holds against its own attack."""

import math

import pytest
import torch

from in_place import in_place
from robustq import bench
from robustq.attacks import PGD
from robustq.audit import Count, Pair
from robustq.bench.certificates import CertificateSet
from robustq.bench.proofs import ProofStage, contradicted, prove, radii, witnessed
from robustq.bench.sandwich import Question, compared, levels, sandwich_of
from robustq.bench.stages import bits
from robustq.certify import ExactAmplitude, Vacuous
from robustq.contracts import Certificate
from robustq.errors import CertificateError, RunError, SpecError
from robustq.models.catalogue import qnn
from robustq.threats import L2

AMPLITUDE = {
    "data": {"name": "breast-cancer", "reduction": "none", "train_size": 80, "test_size": 40},
    "seeds": 2,
    "model": {"options": {"encoding": "amplitude", "layers": 1}},
    "training": {"epochs": 3},
    "threat": {"name": "l2", "eps": [0.02, 0.1, 0.4], "reference": 0.1},
    "attack": {"options": {"steps": 10, "restarts": 1}},
    "defence": {"name": "none"},
    "noise": {"gate_error": [0.05], "readout_error": [0.1]},
    "baselines": {"names": ["logistic"]},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with in_place():
        return bench.assess(bench.parse(AMPLITUDE), tmp_path_factory.mktemp("run") / "r")


def test_certified_is_below_possible_and_attacked(results):
    quantum, classical = results.entrants
    assert classical.certified is None
    for point in quantum.certified.points:
        attacked = quantum.at(point.eps).robust.value
        assert point.certified.value <= point.possible.value <= attacked + 1e-9
        assert point.certified.value <= quantum.accuracy.value
    assert quantum.certified.points[-1].certified.value < quantum.certified.points[0].certified.value
    assert sum(quantum.certified.tightness) > 0
    assert quantum.evidence.certified.found == 0 < quantum.evidence.certified.of
    assert quantum.evidence.witnessed is not None
    assert any("proved to stay right" in sentence for sentence in results.verdict.sentences)


def test_where_nothing_applies_the_reason_is_told():
    spec = bench.parse({**AMPLITUDE, "certificate": {"name": "exact-state"}})
    data = spec.dataset()
    model = qnn(30, 2, generator=torch.Generator(), encoding="amplitude", layers=1)
    stored = prove(spec.certificate.build(), model, data, spec, 0)
    assert stored.method == ""
    assert "expected an infidelity or trace-distance threat" in stored.none


def test_vacuous_asks_for_nothing():
    assert bench.parse({**AMPLITUDE, "certificate": {"name": "vacuous"}}).certificate.build() is None


STORED = [ProofStage(correct="110", lower=[0.2, None, 0.0], upper=[0.3, None, 0.1])]


def test_radii_of_wrong_inputs_are_zero():
    assert radii(STORED, "lower").tolist() == [[0.2, math.inf, 0.0]]
    assert radii(STORED, "upper").tolist() == [[0.3, math.inf, 0.0]]


def test_an_attack_inside_a_certificate_is_counted():
    def curve(text):
        return {0.1: bits(text)[None]}

    assert contradicted(STORED, curve("110")) == Count(0, 2)
    assert contradicted(STORED, curve("100")) == Count(1, 2)
    assert contradicted(STORED, {0.25: bits("010")[None]}) == Count(0, 2)


def test_witnesses_that_the_attack_missed_are_counted():
    assert witnessed(STORED, bits("110")[None], 0.3) == Pair(0, 1, 0, 2)
    assert witnessed(STORED, bits("010")[None], 0.3) == Pair(0, 0, 1, 2)
    unknown = [STORED[0].model_copy(update={"upper": [None, None, None]})]
    assert witnessed(unknown, bits("010")[None], 0.3) is None


@pytest.fixture
def question(generator):
    model = qnn(4, 2, generator=generator, encoding="amplitude", layers=1)
    x = torch.rand(12, 4, generator=generator, dtype=torch.float64)
    return Question(model.freeze(), x, model(x).argmax(1), L2, 1.0, 0)


def test_a_sandwich_holds_together(question):
    found = question.certified(ExactAmplitude())

    survived = question.attacked(PGD(steps=20))
    other = compared(question, found, "vacuous", Vacuous())
    refused = compared(question, found, "other", _Refusing())
    about = {"title": "t", "model": "m", "threat": "l2", "method": "exact", "attack": "pgd", "confidence": 1.0}
    record = sandwich_of(question, found, survived, [other, refused], about)
    assert record.correct == record.inputs == 12
    assert [level.eps for level in record.levels] == pytest.approx(question.grid)
    for level in record.levels:
        assert level.certified.value <= level.possible.value <= level.attacked.value
    assert other.median == 0.0
    assert "expected" in refused.refused


class _Refusing:
    confidence = 1.0

    def prepare(self, model, threat, generator):
        raise CertificateError("expected another model")


def test_an_attack_that_refutes_a_certificate_is_an_error(question):
    found = question.certified(ExactAmplitude())
    flipped = [torch.zeros(12, dtype=torch.bool)]
    with pytest.raises(CertificateError, match="the certificate is wrong"):
        levels(found, [1e-9], flipped)


def test_certificates_survive_the_disk(question, tmp_path):
    found = question.certified(ExactAmplitude())
    made = CertificateSet.of(question.y, found, {"method": "exact amplitude"})
    made.save(tmp_path)
    again = CertificateSet.load(tmp_path)
    assert again.manifest["method"] == "exact amplitude"
    for name, tensor in made.tensors.items():
        assert torch.equal(again.tensors[name], tensor)
    (tmp_path / "certificates.safetensors").write_bytes(b"nonsense")
    with pytest.raises(RunError, match="expected certificates"):
        CertificateSet.load(tmp_path)
    with pytest.raises(RunError, match="expected certificates"):
        CertificateSet.load(tmp_path / "nowhere")


def test_a_certificate_of_another_model_is_refused_in_a_specification():
    with pytest.raises(SpecError, match="unknown certificate 'exact-amplitud'"):
        bench.parse({**AMPLITUDE, "certificate": {"name": "exact-amplitud"}})


def test_wrong_inputs_are_never_certified():
    ones = torch.ones(2, dtype=torch.float64)
    found = Certificate(
        label=torch.tensor([0, 1]),
        correct=torch.tensor([True, False]),
        lower=ones,
        upper=ones * 2,
        witness=torch.zeros(2, 1),
        confidence=1.0,
        seconds=0.0,
        preparation=0.0,
    )
    assert found.certified(0.5).tolist() == [True, False]
    assert found.refuted(0.5).tolist() == [False, True]
    assert found.certified(1.5).tolist() == [False, False]
