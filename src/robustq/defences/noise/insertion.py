"""Random Pauli gates in a circuit: one sample of its noise (Wang et al., DAC 2022, section 3.2)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import torch

from robustq.circuits import Circuit, Operation, op
from robustq.noise import Channel, Mapped, NoiseModel
from robustq.noise.codes import commute


@lru_cache(maxsize=4096)
def pauli_chances(channel: Channel) -> tuple[tuple[str, float], ...]:
    """Each Pauli word and its chance in the channel's Pauli twirl, the identity included.

    The twirl keeps the diagonal of the Pauli transfer matrix: ``p_w = sum_v (-1)^[w, v] R_vv / 4^k``
    (Wallman & Emerson, PRA 94, 052325, 2016). A Pauli channel is its own twirl.

    >>> [(word, round(p, 3)) for word, p in pauli_chances(Channel("pauli", 0.1, 0.0, 0.2))]
    [('I', 0.7), ('X', 0.1), ('Y', 0.0), ('Z', 0.2)]
    """
    words = ["".join(letters) for letters in itertools.product("IXYZ", repeat=channel.qubits)]
    eigenvalues = channel.ptm.diagonal().tolist()
    chances = []
    for word in words:
        signs = (1 if commute(word, other) else -1 for other in words)
        chances.append(sum(s * r for s, r in zip(signs, eigenvalues, strict=True)) / len(words))
    return tuple((w, max(0.0, p)) for w, p in zip(words, chances, strict=True))


def inserted(circuit: Circuit, noise: NoiseModel, generator: torch.Generator) -> Circuit:
    """The circuit with Pauli gates drawn from its twirled noise, behind the gates that cause them.

    The mean of the expectations over such circuits is the expectation under the twirled noise, exactly.

    >>> from robustq.circuits import encodings
    >>> noise = NoiseModel.after_every_gate(Channel("bit-flip", 1.0))
    >>> [o.gate for o in inserted(encodings.angle(2), noise, torch.Generator()).operations]
    ['ry', 'x', 'ry', 'x']
    """
    operations: list[Operation] = []
    for o in circuit.operations:
        operations.append(o)
        for channel, on in noise.after(o):
            operations += _drawn(channel, on, generator)
    return Circuit(circuit.qubits, tuple(operations), circuit.inputs, circuit.parameters, circuit.amplitudes)


def _drawn(channel: Channel, on: tuple[int, ...], generator: torch.Generator) -> Iterator[Operation]:
    draw = float(torch.rand((), generator=generator, dtype=torch.float64))
    for word, chance in pauli_chances(channel):
        draw -= chance
        if draw < 0:
            yield from (op(p.lower(), q) for p, q in zip(word, on, strict=True) if p != "I")
            return


def sampled(fit: Mapped, generator: torch.Generator) -> Mapped:
    """A fit to a device whose gate noise is one sample; read-out error stays exact."""
    noise = fit.noise
    return Mapped(
        inserted(fit.circuit, noise, generator),
        fit.observables,
        NoiseModel(readout=noise.readout, readouts=noise.readouts),
        fit.layout,
        fit.final,
        fit.swaps,
    )
