"""Specifications: every mistake is one clear sentence, found before anything runs."""

import pytest

from robustq.bench import completed, parse, read
from robustq.bench.spec import (
    AssessmentSpecification,
    CodesignSpecification,
    DefenceSpecification,
    TransferSpecification,
)
from robustq.data import load
from robustq.errors import RobustQError, SpecError
from robustq.noise import Device

GOOD = {"data": {"name": "iris"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dta": {}}, "unknown key 'dta': did you mean 'data'?"),
        ({"data": {"name": "iris", "clases": ["a"]}}, "unknown key 'data.clases': did you mean 'classes'"),
        ({"data": {}}, "data.name: expected a value, got none"),
        ({"seeds": "3"}, "seeds: expected a valid integer, got '3'"),
        ({"seeds": 0}, "seeds: expected greater than or equal to 1, got 0"),
        ({"model": {"name": "qn"}}, "unknown model 'qn': did you mean 'qnn'"),
        ({"model": {"name": "mlp"}}, "expected a quantum or hybrid model, got 'mlp'"),
        ({"model": {"options": {"layer": 2}}}, "unknown model option 'layer': did you mean 'layers'"),
        ({"attack": {"name": "pdg"}}, "unknown attack 'pdg': did you mean 'pgd'"),
        ({"attack": {"options": {"step_size": 1}}}, "unknown attack option 'step_size'"),
        ({"attack": {"options": {"steps": 0}}}, "expected steps as a whole number >= 1"),
        ({"defence": {"name": "adversarial"}}, "did you mean 'adversarial-training'"),
        ({"threat": {"name": "l3"}}, "unknown threat 'l3'"),
        ({"threat": {"eps": [-0.1, 0.1]}}, "expected eps >= 0 and finite, got -0.1"),
        ({"threat": {"eps": [0.2, 0.1]}}, "expected rising values > 0"),
        ({"threat": {"eps": [0.1, 0.2]}}, r"threat.reference: expected one of \[0.1, 0.2\], got 0.05"),
        ({"threat": {"eps": []}}, "threat.eps"),
        ({"noise": {"gate_error": [2.0]}}, r"noise.gate_error: expected levels in \(0, 1\], got 2.0"),
        ({"noise": {"shots": 0}}, "noise.shots: expected greater than or equal to 1, got 0"),
        ({"noise": {"device": "kolkatta"}}, "unknown device 'kolkatta': did you mean 'kolkata'"),
        ({"noise": {"device": 3}}, "noise.device: expected a valid string, got 3"),
        ({"noise": {"device": "nowhere.json"}}, "device: cannot read nowhere.json"),
        ({"noise": {"device": {"format": 9}}}, "expected a snapshot of format 1, got 9"),
        ({"noise": {"device": "manila", "drift": ["t1drop"]}}, "drift scenario 't1drop': did you mean 't1-drop'"),
        ({"noise": {"device": "manila", "drift": ["t1-drop", "t1-drop"]}}, "noise.drift: expected different names"),
        ({"noise": {"drift": ["t1-drop"]}}, "noise.drift: expected a noise.device to drift"),
        ({"baselines": {"names": ["qnn"]}}, "expected classical models, got 'qnn'"),
        ({"training": {"lr": 0.0}}, "expected lr > 0"),
        ({"training": {"lr": float("inf")}}, "expected lr > 0 and finite"),
        ({"attack": {"name": "identity"}}, "expected an attack that tries, got 'identity'"),
        ({"attack": {"options": {"step": float("nan")}}}, "'step': expected a finite number, got nan"),
        ({"attack": {"options": {"steps": 2.5}}}, "steps as a whole number"),
        ({"attack": {"options": {"restarts": "many"}}}, "attack: expected restarts as a whole number, got 'many'"),
        ({"attack": {"options": {"loss": "foo"}}}, "unknown attack loss 'foo'"),
        ({"threat": {"eps": [0.05, 1e308]}}, "expected eps <= 1e.09, got 1e.308"),
        ({"noise": {"gate_error": []}}, "noise.gate_error"),
        ({"noise": {"gate_error": [0.1, 0.05]}}, "noise.gate_error: expected rising levels"),
        ({"noise": {"shots": 10**30}}, "noise.shots"),
        ({"baselines": {"names": ["mlp", "mlp"]}}, "expected different names"),
        ({"confidence": 1.5}, "confidence: expected less than 1, got 1.5"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(RobustQError, match=message):
        parse(GOOD | change)


def test_files_are_read_and_checked(tmp_path):
    path = tmp_path / "spec.toml"
    with pytest.raises(SpecError, match="cannot be read"):
        read(path)
    path.write_text("seeds = = 3")
    with pytest.raises(SpecError, match="expected TOML"):
        read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="expected TOML"):
        read(path)
    path.write_text('seeds = 2\n[data]\nname = "iris"\n')
    assert read(path).seeds == 2


def test_content_id_depends_on_content_alone():
    assert parse(GOOD).content_id == parse({"seeds": 5, **GOOD}).content_id
    assert parse(GOOD).content_id != parse({"seeds": 6, **GOOD}).content_id


def test_a_device_file_is_embedded_by_its_content(tmp_path):
    device = Device.bundled("manila")
    device.save(tmp_path / "today.json")
    (tmp_path / "spec.toml").write_text('[data]\nname = "iris"\n[noise]\ndevice = "today.json"\n')
    found = read(tmp_path / "spec.toml")
    assert found.noise.calibrated() == device
    (tmp_path / "today.json").rename(tmp_path / "copy.json")
    copy = parse(GOOD | {"noise": {"device": str(tmp_path / "copy.json")}})
    assert copy.content_id == found.content_id
    assert parse(found.model_dump()) == found
    device.drifted("t1-drop").save(tmp_path / "copy.json")
    other = parse(GOOD | {"noise": {"device": str(tmp_path / "copy.json")}})
    assert other.content_id != found.content_id


def test_a_device_drifts_unless_told_otherwise():
    raw = load("iris")
    assert completed(parse(GOOD), raw).noise.drift is None
    assert len(completed(parse(GOOD | {"noise": {"device": "manila"}}), raw).noise.drift) == 4
    still = completed(parse(GOOD | {"noise": {"device": "manila", "drift": []}}), raw)
    assert still.noise.drift == []


def test_defaults_follow_the_data():
    table = completed(parse({"data": {"name": "breast-cancer"}}), load("breast-cancer"))
    assert (table.data.features, table.model.options["encoding"]) == (8, "angle")
    image = completed(parse({"data": {"name": "digits"}}), load("digits"))
    assert (image.data.features, image.model.options["encoding"]) == (64, "amplitude")
    assert image.model.options["readout"] == "basis-groups"
    assert completed(image, load("digits")) == image


def test_unknown_classes_are_refused():
    with pytest.raises(SpecError, match="unknown class of iris 'rose'"):
        parse({"data": {"name": "iris", "classes": ["setosa", "rose"]}}).raw()


@pytest.mark.parametrize(
    ("study", "own", "foreign"),
    [
        (AssessmentSpecification, {"uncertainty": {"draws": 3}}, {"codesign": {"trials": 9}}),
        (DefenceSpecification, {"recipes": [{"name": "trades"}]}, {"transfer": {"models": ["qnn", "mlp"]}}),
        (TransferSpecification, {"transfer": {"models": ["qnn", "mlp"]}}, {"defence": {"steps": 9}}),
        (CodesignSpecification, {"codesign": {"trials": 9}}, {"recipes": [{"name": "trades"}]}),
    ],
)
def test_a_study_reads_its_own_tables_and_leaves_out_those_of_others(study, own, foreign):
    plain, with_own, with_foreign = (parse(GOOD | more).of(study) for more in ({}, own, foreign))
    assert plain == with_foreign
    assert plain.content_id == with_foreign.content_id != with_own.content_id
    assert parse(with_own.model_dump()).of(study) == with_own
