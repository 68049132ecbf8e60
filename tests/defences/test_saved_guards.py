"""Guarded models survive saving: the same answers, the same twins, no trace lost."""

import pytest
import torch
from small_models import dressed, points, small

from robustq.defences import (
    Depolarising,
    ErrorDetecting,
    FeatureSqueezing,
    NoiseInjection,
    PhaseDamping,
    RandomisedEncoding,
    RandomisedInputs,
    SmoothedEncoding,
    TrainableEncoding,
)
from robustq.defences.saved import load, save
from robustq.errors import ModelFileError
from robustq.seeding import torch_generator

GUARDS = [
    Depolarising(0.05),
    PhaseDamping(0.4),
    NoiseInjection(rate=0.1),
    NoiseInjection(levels=0),
    RandomisedEncoding(0.3),
    RandomisedEncoding(0.3, redrawn=True),
    RandomisedInputs(0.1),
    ErrorDetecting(0.1),
    ErrorDetecting(0.1, code=False),
    TrainableEncoding(2.0),
    SmoothedEncoding(0.5),
]


@pytest.mark.parametrize("make", [small, dressed])
@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_guarded_model_is_the_same_after_saving(guard, make, tmp_path):
    x, y = points(6, 3 if make is small else 4)
    x = x.double()
    model = guard.around(make(), x, y, torch_generator(0)).double().eval()
    save(model, tmp_path)
    found = load(tmp_path)
    assert type(found) is type(model)
    torch.testing.assert_close(found(x), model(x))  # random ones start their stream anew alike
    for ours, theirs in zip(_twins(found), _twins(model), strict=True):
        torch.testing.assert_close(ours(x), theirs(x))
    assert getattr(found, "acceptance", None) == getattr(model, "acceptance", None)


def _twins(model):
    return model.twins() if hasattr(model, "twins") else ()


def test_guards_around_guards_are_saved_too(tmp_path):
    x, y = points(6, 3)
    model = small().float()
    for guard in (FeatureSqueezing(3), RandomisedEncoding(0.2), ErrorDetecting(0.1), NoiseInjection()):
        model = guard.around(model, x, y, torch_generator(1))
    save(model.eval(), tmp_path)
    torch.testing.assert_close(load(tmp_path)(x), model(x))


def test_an_unknown_part_is_refused(tmp_path):
    model = RandomisedInputs(0.1).around(
        torch.nn.Linear(2, 2), torch.zeros(1, 2), torch.tensor([0]), torch_generator(0)
    )
    with pytest.raises(ModelFileError, match="got Linear"):
        save(model, tmp_path)
