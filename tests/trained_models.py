"""Small trained models and the data they know, made once."""

from functools import lru_cache

import torch

from robustq.data.bundled import breast_cancer, iris
from robustq.data.prepare import prepare
from robustq.models import Training, fit
from robustq.models.catalogue import hybrid, qnn

MAKERS = {
    "breast-cancer": (breast_cancer, 4, 2, qnn),
    "wide": (breast_cancer, 8, 2, qnn),
    "iris": (iris, 4, 3, qnn),
    "hybrid": (breast_cancer, 8, 2, hybrid),
}


@lru_cache
def trained(name, dtype=torch.float32):
    """A model with all rows of its data, training and test, ``(model, x, y)``."""
    load, features, classes, make = MAKERS[name]
    data, generator = prepare(load(), features=features), torch.Generator().manual_seed(1)
    model = make(features, classes, generator=generator, layers=2)
    x, y = data.tensors("train")
    fit(model, x, y, generator=generator, training=Training(epochs=12))
    more, labels = data.tensors("test")
    return model.to(dtype), torch.cat([x, more]).to(dtype), torch.cat([y, labels])
