"""Recipes compose guards and training defences; guarded models are saved, frozen and attacked as they are."""

import re
from pathlib import Path

import pytest
import torch

from robustq.attacks import FGSM, PGD, Adaptive, Identity, SearchProblem, Transfer, run_attack
from robustq.attacks.answers import alarm_is_right
from robustq.contracts import RejectingClassifier, Step
from robustq.defences import AdversarialTraining, FeatureSqueezing, Fronted, Plain, Recipe
from robustq.defences.filters.quantise import Quantise
from robustq.defences.saved import KINDS, load, save
from robustq.errors import ModelError, ModelFileError, SpecError
from robustq.models import Training, fit
from robustq.models.catalogue import mlp, qnn
from robustq.noise import Device, NoiseModel
from robustq.threats import Linf
from steps import mean_loss

BOX = (0.0, 1.0)


def test_a_recipe_is_the_same_as_its_parts_by_hand(generator):
    x, y = torch.rand(40, 3, generator=generator), torch.arange(40) % 2
    plan = Training(epochs=2)

    def stream():
        return torch.Generator().manual_seed(5)

    inner = AdversarialTraining(FGSM(), Linf(0.1, BOX))
    recipe = Recipe((FeatureSqueezing(2), inner))
    ours, _ = recipe.fit(qnn(3, 2, generator=stream()), x, y, generator=stream(), training=plan)
    model = Fronted(Quantise(2), qnn(3, 2, generator=stream()))
    fit(model, x, y, generator=stream(), training=plan, defence=inner)
    assert torch.equal(ours(x), model.eval()(x))
    assert Recipe().training == Plain()


def test_two_losses_and_strangers_are_refused():
    inner = AdversarialTraining(FGSM(), Linf(0.1))
    with pytest.raises(SpecError, match="one defence that says what is minimised"):
        Recipe((inner, inner))
    with pytest.raises(SpecError, match="expected defences, got PGD"):
        Recipe((PGD(),))


def test_a_squeezed_model_is_attacked_straight_through(generator):
    """Rounding has no gradient; the attack must not notice."""
    model = Fronted(Quantise(3), mlp(4, 2, generator=generator))
    x, y = torch.rand(6, 4, generator=generator), torch.zeros(6, dtype=torch.int64)
    problem = SearchProblem(model, x, y, Linf(0.2, BOX), generator)
    gradient = problem.gradient(x)
    behind = model.front(x).requires_grad_(True)
    logits = model.model(behind)
    (expected,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), behind)
    torch.testing.assert_close(gradient, expected)
    assert (gradient != 0).any(1).all()


@pytest.mark.parametrize("make", [mlp, qnn])
def test_guarded_models_are_saved_and_frozen(make, generator, tmp_path):
    model = Fronted(Quantise(2), make(3, 2, generator=generator)).eval()
    save(model, tmp_path / "m", metadata={"a": 1})
    again = load(tmp_path / "m")
    x = torch.rand(5, 3, generator=generator)
    assert torch.equal(again(x), model(x))
    torch.testing.assert_close(model.freeze()(x), model(x), rtol=1e-4, atol=1e-5)
    assert model.twins() == (model.model,)
    with pytest.raises(ModelFileError, match="expected a kind of"):
        KINDS["fronted"]({"front": {"kind": "nothing", "config": {}}})
    assert "quantum-net" in KINDS


def test_a_model_keeps_its_own_noise(generator, tmp_path):
    x = torch.rand(4, 2, generator=generator)
    for noise in (NoiseModel.uniform(gate_error=0.05, readout_error=0.02), Device.bundled("manila")):
        model = qnn(2, 2, generator=generator, layers=1)
        bare = model(x)
        model.noise = noise
        save(model, tmp_path / type(noise).__name__)
        again = load(tmp_path / type(noise).__name__)
        assert again.noise == noise
        assert torch.equal(again(x), model(x))
        assert not torch.allclose(again(x), bare)
    model.noise = model.fitted(Device.bundled("manila"))
    with pytest.raises(ModelError, match="got a fit to one"):
        model.config()


class Alarmed:
    """Two classes split at 0.5; the alarm rings beyond 0.7."""

    rejects = True

    def __call__(self, x):
        score = x[:, :1]
        return torch.cat([0.5 - score, score - 0.5, 4 * (score - 0.7)], 1)


def test_an_alarm_is_no_success(generator):
    """From 0.45 the wrong class can be reached below the alarm; with the alarm at 0.5 nothing can."""
    assert isinstance(Alarmed(), RejectingClassifier)
    x, y = torch.tensor([[0.45], [0.2], [0.9]]), torch.tensor([0, 0, 1])
    found = run_attack(PGD(), Alarmed(), x, y, Linf(0.4), generator=generator)
    assert found.correct.tolist() == [True, True, False]  # the last raises the alarm itself
    assert found.success.tolist() == [True, True, False]
    assert (found.x_adv[:2] > 0.5).all()
    assert (found.x_adv[:2] < 0.77).all()  # beyond 23/30 the alarm wins

    class Strict(Alarmed):
        def __call__(self, x):
            return torch.cat([super().__call__(x)[:, :2], 10 * (x - 0.45)], 1)

    strict = run_attack(PGD(), Strict(), x[1:2], y[1:2], Linf(0.6), generator=generator)
    assert not strict.success.any()


def test_alarms_count_for_the_right_class():
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 0.0]])
    merged = alarm_is_right(logits, torch.tensor([0, 0]))
    assert merged.tolist() == [[3.0, 2.0], [1.0, 2.0]]


def test_twins_are_tried(generator):
    """A model that hides its gradient falls to what is found on its twin."""

    def smooth(x):
        return torch.cat([0.5 - x, x - 0.5], 1)

    def masked(x):
        return smooth(x.detach().round(decimals=2)) + 0 * x.sum()

    x, y, threat = torch.tensor([[0.42], [0.1]]), torch.tensor([0, 0]), Linf(0.2)
    inner = PGD(steps=5, restarts=1)
    alone = run_attack(inner, masked, x, y, threat, generator=generator)
    assert not alone.success.any()
    both = run_attack(Adaptive(inner, (smooth,)), masked, x, y, threat, generator=generator)
    assert both.success.tolist() == [True, False]
    assert both.gradients == alone.gradients  # what is asked of a twin is not asked of the model
    known = run_attack(Transfer(inner, surrogate=smooth), masked, x, y, threat, generator=generator)
    assert known.success.tolist() == [True, False]


class Recording:
    """Remembers what a training tells it."""

    def __init__(self):
        self.steps = []

    def losses(self, model, step):
        self.steps.append((step.progress, None if step.rows is None else step.rows.tolist()))
        step.memory["count"] = step.memory.get("count", 0) + 1
        self.memory = step.memory
        return Plain().losses(model, step)


def test_training_tells_progress_rows_and_keeps_memory(generator):
    x, y = torch.rand(20, 2, generator=generator), torch.arange(20) % 2
    seen = Recording()
    model = torch.nn.Linear(2, 2)
    plan = Training(epochs=2, batch_size=8, validation=0.2)
    fit(model, x, y, generator=generator, training=plan, defence=seen)
    progress = [p for p, _ in seen.steps]
    assert progress == [0.0, 0.25, 1.0, 0.5, 0.75, 1.0]
    trained = sorted(seen.steps[0][1] + seen.steps[1][1])
    assert len(trained) == 16
    assert sorted(trained + seen.steps[2][1]) == list(range(20))
    assert seen.memory["count"] == 6


def test_a_loss_of_the_wrong_shape_is_refused(generator):
    class Scalar:
        def losses(self, model, step):
            return torch.zeros(())

    with pytest.raises(ModelError, match="Scalar: expected a loss for each of"):
        fit(
            torch.nn.Linear(1, 2), torch.rand(4, 1), torch.tensor([0, 1, 0, 1]), generator=generator, defence=Scalar()
        )


def test_identity_inner_attack_is_plain_behind_a_guard(generator):
    model = Fronted(Quantise(2), mlp(3, 2, generator=generator))
    x, y = torch.rand(4, 3, generator=generator), torch.tensor([0, 1, 1, 0])
    ours = mean_loss(AdversarialTraining(Identity(), Linf(0.1, BOX)), model, x, y, generator)
    torch.testing.assert_close(ours, Plain().losses(model, Step(x=x, y=y, generator=generator)).mean())


def test_the_page_on_defences_runs():
    text = (Path(__file__).resolve().parents[2] / "docs/defences.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, object] = {}
    exec(block, names)
    assert isinstance(names["model"], Fronted)
    assert len(names["history"].epochs) == 5
