"""Small problems whose posteriors are known, shared by the tests of several methods."""

import torch

from robustq.models.catalogue import qnn
from robustq.models.training import Training
from robustq.uncertainty import Trainer


def blobs(generator, rows=60, apart=1.0):
    """Two overlapping classes in the unit square."""
    y = torch.arange(rows) % 2
    centre = torch.tensor([[0.35, 0.4], [0.65, 0.6]])[y]
    x = centre + 0.15 / apart * torch.randn(rows, 2, generator=generator)
    return x.clamp(0, 1), y


def quantum_trainer(generator, **options):
    """A small circuit, briefly trained."""
    plan = Training(epochs=6, batch_size=20, lr=0.05, validation=0.2, **options)
    return Trainer(lambda k: qnn(2, 2, generator=generator, layers=1), plan)
