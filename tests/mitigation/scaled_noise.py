"""A device whose channels are all as much stronger or weaker: what extrapolation presumes."""

import dataclasses

from robustq.mitigation import Run
from robustq.mitigation.readout import perfect_readout
from robustq.noise import Channel


def scaled(noise, scale):
    """Relaxation for ``scale`` times the time, the other channels ``scale`` times in a row; perfect read-out."""
    rules = tuple(dataclasses.replace(rule, channel=_scaled(rule.channel, scale)) for rule in noise.rules)
    return dataclasses.replace(perfect_readout(noise), rules=rules)


def _scaled(channel, scale):
    if channel.name == "thermal-relaxation":
        t1, t2, time, excited = channel.values
        return Channel(channel.name, t1, t2, time * scale, excited)
    if channel.name == "zz-crosstalk":
        return Channel(channel.name, channel.p * scale)
    assert channel.name.startswith("depolarising")
    return Channel(channel.name, 1 - (1 - channel.p) ** scale)


def derivatives(problem, step=0.02):
    """First and second derivative of every expectation by the noise's strength, at none."""
    run = problem.run

    def at(scale):
        struck = Run(run.circuit, run.observables, scaled(run.noise, scale))
        return struck.values(problem.inputs, problem.parameters)[0].numpy()

    zero, one, two = at(0.0), at(step), at(2 * step)
    second = (two - 2 * one + zero) / step**2
    return (4 * one - two - 3 * zero) / (2 * step), second
