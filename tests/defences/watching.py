"""A small quantum model that knows its data, for detectors to watch."""

from functools import lru_cache

import torch

from robustq.defences.detection.detector import Clean
from robustq.defences.detection.view import View
from robustq.models import Training, fit
from robustq.models.catalogue import qnn


def clouds(count, generator, features=3):
    """Two Gaussian clouds in the unit box, in random order."""
    y = torch.randint(2, (count,), generator=generator)
    noise = 0.07 * torch.randn(count, features, generator=generator)
    return (0.3 + 0.35 * y[:, None] + noise).clamp(0, 1), y


def tempting(count, generator):
    """One feature tells the classes apart widely but not always, two others always but narrowly."""
    y = torch.randint(2, (count,), generator=generator)
    sign = 2 * y[:, None] - 1
    wide = 0.5 + 0.25 * sign + 0.12 * torch.randn(count, 1, generator=generator)
    narrow = 0.5 + 0.07 * sign + 0.02 * torch.randn(count, 2, generator=generator)
    return torch.cat([wide, narrow], 1).clamp(0, 1), y


@lru_cache
def watched_model():
    """``(model, x, y)``: 300 rows, trained on all of them."""
    generator = torch.Generator().manual_seed(5)
    x, y = clouds(300, generator)
    model = qnn(3, 2, generator=generator, layers=2)
    fit(model, x, y, generator=generator, training=Training(epochs=8))
    return model.eval(), x, y


def clean(seed=0):
    """What a detector is fitted on."""
    model, x, y = watched_model()
    return Clean(x, y, View.live(model), torch.Generator().manual_seed(seed))
