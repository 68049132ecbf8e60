"""A training that is interrupted and continued ends with the bytes of one that was not."""

import pytest
import torch

from robustq.attacks import PGD
from robustq.circuits import ansaetze, encodings, per_qubit_z
from robustq.defences import AdversarialTraining, Free, GroupDRO, RandomisedEncoding, Recipe
from robustq.errors import ModelError
from robustq.models import Checkpoint, Perceptron, QuantumNet, Training, fit
from robustq.seeding import torch_generator
from robustq.threats import Linf

PLAN = Training(epochs=7, batch_size=8)


class Killed(Exception):
    pass


def killed_after(epoch):
    def callback(done):
        if done.number == epoch:
            raise Killed

    return callback


def rows():
    x = torch.rand(40, 2, generator=torch_generator(0, "x"))
    return x, (x[:, 0] > x[:, 1]).long()


def quantum():
    circuit = encodings.angle(2).then(ansaetze.brickwork(2))
    return QuantumNet(circuit, per_qubit_z(2, 2), generator=torch_generator(0, "model"))


def turned():
    """As many angles, the same starting values, another circuit."""
    circuit = encodings.angle(2, axis="x").then(ansaetze.brickwork(2))
    return QuantumNet(circuit, per_qubit_z(2, 2), generator=torch_generator(0, "model"))


def perceptron():
    return Perceptron(2, [4], 2, generator=torch_generator(0, "model")).double()


def restarted():
    """The same model, with other starting weights."""
    return Perceptron(2, [4], 2, generator=torch_generator(1, "model")).double()


def ended(build=perceptron, defence=None, plan=PLAN, **options):
    """Everything that a training leaves behind: history, weights, where its generator stands."""
    model, generator = build(), torch_generator(0, "fit")
    history = fit(model, *rows(), generator=generator, training=plan, defence=defence, **options)
    weights = {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}
    return history, weights, generator.get_state().numpy().tobytes()


@pytest.fixture
def kept(tmp_path):
    return Checkpoint(tmp_path / "made" / "training.safetensors", seconds=0)


DEFENCES = {
    "plain": None,
    "adversarial": AdversarialTraining(PGD(2), Linf(0.1)),
    "free": Free(Linf(0.1)),
    "group-dro": GroupDRO(on=Free(Linf(0.1))),
}


@pytest.mark.parametrize("epoch", [1, 2, 5, 7])
@pytest.mark.parametrize("defence", DEFENCES.values(), ids=DEFENCES)
def test_a_continued_training_ends_with_the_same_bytes(kept, defence, epoch):
    for build in (perceptron, quantum):
        whole = ended(build, defence)
        with pytest.raises(Killed):
            ended(build, defence, checkpoint=kept, callbacks=[killed_after(epoch)])
        done = []
        assert ended(build, defence, checkpoint=kept, callbacks=[done.append]) == whole
        assert [e.number for e in done] == list(range(epoch, 8))  # the epoch that was not kept, and the others
        kept.path.unlink(missing_ok=True)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_killed_again_and_again(kept, schedule, validation):
    plan = Training(epochs=6, batch_size=8, schedule=schedule, validation=validation)
    whole = ended(plan=plan)
    for epoch in range(2, 6):
        with pytest.raises(Killed):
            ended(plan=plan, checkpoint=kept, callbacks=[killed_after(epoch)])
    assert ended(plan=plan, checkpoint=kept) == whole


def test_early_stopping_is_continued(kept):
    plan = Training(epochs=60, batch_size=8, lr=0.3, patience=3)
    whole = ended(plan=plan)
    last = len(whole[0].epochs)
    assert whole[0].stopped_early
    assert last > 5
    for epoch in (last - 1, last):
        with pytest.raises(Killed):
            ended(plan=plan, checkpoint=kept, callbacks=[killed_after(epoch)])
    assert ended(plan=plan, checkpoint=kept) == whole
    assert ended(plan=plan, checkpoint=kept) == whole  # the file of a finished training goes on to the same end


def test_a_stream_within_the_model_is_continued(kept):
    """A key drawn anew at every call comes from a generator that the model holds."""

    def trained(**options):
        generator = torch_generator(0, "fit")
        recipe = Recipe((RandomisedEncoding(0.3, redrawn=True),))
        model, history = recipe.fit(quantum(), *rows(), generator=generator, training=PLAN, **options)
        return model(rows()[0]).detach().numpy().tobytes(), history

    whole = trained()
    with pytest.raises(Killed):
        trained(checkpoint=kept, callbacks=[killed_after(4)])
    assert trained(checkpoint=kept) == whole


def flipped(held):
    return held[:-40] + bytes([held[-40] ^ 1]) + held[-39:]


DAMAGES = {
    "flipped": flipped,
    "cut": lambda held: held[:-1],
    "empty": lambda held: b"",
    "text": lambda held: b"not a checkpoint at all",
    "no-seal": lambda held: held.replace(b"sha256", b"sha257"),
    "other-loss": lambda held: held.replace(b"best_loss", b"best_lose"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_not_used(kept, damage):
    with pytest.raises(Killed):
        ended(checkpoint=kept, callbacks=[killed_after(4)])
    kept.path.write_bytes(damage(kept.path.read_bytes()))
    done = []
    assert ended(checkpoint=kept, callbacks=[done.append]) == ended()
    assert done[0].number == 1


def test_a_foreign_checkpoint_is_not_used(kept):
    for first, second in (
        ({}, {"build": restarted}),
        ({}, {"plan": Training(epochs=7, batch_size=8, lr=0.01)}),
        ({}, {"defence": Free(Linf(0.1))}),
        ({"defence": Free(Linf(0.2))}, {"defence": Free(Linf(0.1))}),
        ({"build": quantum}, {"build": turned}),
    ):
        with pytest.raises(Killed):
            ended(**first, checkpoint=kept, callbacks=[killed_after(4)])
        done = []
        assert ended(**second, checkpoint=kept, callbacks=[done.append]) == ended(**second)
        assert done[0].number == 1


def test_written_only_after_so_many_seconds(kept):
    rare = Checkpoint(kept.path, seconds=3600)
    assert ended(checkpoint=rare) == ended()
    assert not kept.path.exists()
    ended(checkpoint=kept)
    assert kept.path.exists()


def test_a_model_with_other_state_is_refused(kept):
    class Odd(torch.nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(ModelError, match="expected a model whose state is tensors, got dict '_extra_state'"):
        ended(lambda: Odd(2, 2), checkpoint=kept)
