"""A batch as a defence in training sees it."""

from robustq.contracts import Step


def mean_loss(defence, model, x, y, generator, **more):
    """The mean of a defence's losses on a batch outside of any training."""
    return defence.losses(model, Step(x=x, y=y, generator=generator, **more)).mean()
