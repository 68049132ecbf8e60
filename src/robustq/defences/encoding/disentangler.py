"""States prepared by few two-qubit gates: matrix products of bond two, layer upon layer.

A real state is cut into a matrix product of bond at most two, which a staircase of two-qubit gates prepares
exactly; what the staircase's inverse leaves of the state is cut again (Ran, PRA 101, 032310, 2020). Sweeps over the
gates then raise the overlap, each gate set to the best one there is (Rudolph et al., arXiv:2209.00595). Everything
is done for a batch of states at once.

A gate that acts while its upper qubit is still |0> costs two CNOTs, or one where it prepares two qubits from |00>;
any other rotation of two qubits costs two (Vatan & Williams, PRA 69, 032315, 2004); a product costs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from robustq.circuits import Circuit
from robustq.circuits.preparation import staircase as staircase_circuit

THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35)  # of a bond's second weight, below which it is cut


@dataclass(frozen=True, eq=False)
class PairGate:
    """One gate of every state's circuit, on the qubits ``place`` and ``place + 1``.

    Attributes:
        place: the upper (more significant) qubit.
        matrix: rotations ``(batch, 4, 4)``.
        entangles: whether it is more than a product, ``(batch,)``.
        fed: whether its lower qubit comes entangled with those below, ``(batch,)``.
    """

    place: int
    matrix: Tensor
    entangles: Tensor
    fed: Tensor


Layer = tuple[PairGate, ...]  # in the order of application


@dataclass(frozen=True, eq=False)
class Prepared:
    """What short circuits make of a batch of states.

    Attributes:
        layers: in the order of application.
        states: what they prepare from |0...0>, ``(batch, 2**n)``, unit vectors.
        fidelity: squared overlap with the wanted states, ``(batch,)``.
        cnots: of each circuit, ``(batch,)`` of int64.
    """

    layers: tuple[Layer, ...]
    states: Tensor
    fidelity: Tensor
    cnots: Tensor

    def circuit(self, row: int) -> Circuit:
        """The circuit of one state, in rotations and ``cnots`` CNOTs.

        >>> preparation = prepared(torch.tensor([[0.6, 0.0, 0.0, 0.8]]).double())
        >>> preparation.circuit(0).counts["cx"] == preparation.cnots.item() == 1
        True
        """
        layers = [
            [(g.place, g.matrix[row].numpy(), self._kind(g, row, number)) for g in layer]
            for number, layer in enumerate(self.layers)
        ]
        return staircase_circuit(layers, self.states.shape[1].bit_length() - 1)

    @staticmethod
    def _kind(gate: PairGate, row: int, layer: int) -> Literal["state", "gate", "one-qubit"]:
        """What a gate is to the circuit: a product, a state made of |00>, or any rotation."""
        if not bool(gate.entangles[row]):
            return "one-qubit"
        return "state" if layer == 0 and not bool(gate.fed[row]) else "gate"

    def where(self, better: Tensor, other: Prepared) -> Prepared:
        """Row by row this or the other, as states and figures; the circuits are those of neither."""
        return Prepared(
            (),
            torch.where(better[:, None], self.states, other.states),
            torch.where(better, self.fidelity, other.fidelity),
            torch.where(better, self.cnots, other.cnots),
        )


def prepared(states: Tensor, layers: int = 1, threshold: float = 0.0, sweeps: int = 0) -> Prepared:
    """Circuits of so many layers for real unit vectors ``(batch, 2**n)``, ``n >= 2``.

    Args:
        states: what to prepare.
        layers: staircases of gates.
        threshold: a bond whose second weight is a smaller share is cut, which saves its CNOTs.
        sweeps: over all gates, to raise the overlap; it never falls.

    >>> bell = torch.tensor([[1.0, 0.0, 0.0, 1.0]]).double() / 2**0.5
    >>> preparation = prepared(bell)
    >>> preparation.fidelity.round(decimals=9).tolist(), preparation.cnots.tolist()
    ([1.0], [1])
    """
    circuit: list[Layer] = []
    rest = states
    for _ in range(layers):
        layer = staircase(rest, threshold)
        rest = undone(layer, rest)
        circuit.insert(0, layer)  # what is found last acts first
    if sweeps:
        circuit = refined(circuit, states, sweeps)
    return _judged(circuit, states)


def _judged(layers: Sequence[Layer], states: Tensor) -> Prepared:
    output = torch.zeros_like(states)
    output[:, 0] = 1
    for layer in layers:
        output = applied(layer, output)
    overlap = (output * states).sum(1)
    cost = sum((_cost(layer, first=k == 0) for k, layer in enumerate(layers)), overlap.new_zeros(()))
    output = torch.where(overlap[:, None] < 0, -output, output)
    return Prepared(tuple(layers), output, overlap.square(), cost.long())


def _cost(layer: Layer, *, first: bool) -> Tensor:
    """CNOTs of a layer, ``(batch,)``; of the first, gates that are not fed prepare two qubits from |00>."""
    cheap = 1 if first else 2
    return torch.stack([torch.where(gate.entangles, torch.where(gate.fed, 2, cheap), 0) for gate in layer]).sum(0)


def staircase(states: Tensor, threshold: float = 0.0) -> Layer:
    """Gates from the last pair of qubits to the first that prepare the states cut to bond two.

    >>> layer = staircase(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    >>> len(layer), layer[0].entangles.tolist()
    (1, [False])
    """
    batch, size = states.shape
    sites = size.bit_length() - 1
    rest, isometries, ranks = states.reshape(batch, 1, size), [], []
    for _ in range(sites - 1):
        rest = rest.reshape(batch, 2 * rest.shape[1], -1)
        leading, two = _leading(rest, threshold)
        rest = leading.mT @ rest
        isometries.append(leading)
        ranks.append(two)
    last = torch.nn.functional.normalize(rest.flatten(1), dim=1)  # on the last bond and the last site
    return _gates(isometries, ranks, last)


def _leading(matrix: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The two leading left singular vectors ``(batch, rows, 2)``, the second zero where its share is small."""
    values, vectors = torch.linalg.eigh(matrix @ matrix.mT)
    values, vectors = values.flip(1)[:, :2].clamp_min(0), vectors.flip(2)[:, :, :2]
    total = values.sum(1).clamp_min(torch.finfo(values.dtype).tiny)
    rounding = 16 * torch.finfo(values.dtype).eps
    two = values[:, 1] / total > max(threshold, rounding)
    leading = torch.stack([vectors[:, :, 0], vectors[:, :, 1] * two[:, None]], 2)
    return leading, two


def _gates(isometries: Sequence[Tensor], ranks: Sequence[Tensor], last: Tensor) -> Layer:
    """The staircase of a matrix product whose bonds have one or two values."""
    above, below = ranks[-1], torch.zeros_like(ranks[-1])
    columns = torch.stack([last, torch.zeros_like(last)], 2)
    gates = []
    for place in range(len(ranks) - 1, -1, -1):
        matrix = _completed(columns, above, below)
        if place == 0:
            first = _two(isometries[0], above)
            matrix = _kron(first, torch.eye(2).to(matrix)) @ matrix
        gates.append(PairGate(place, _rotation(matrix), above, below))
        if place:
            columns, below, above = isometries[place], above, ranks[place - 1]
    return tuple(gates)


def _completed(columns: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Orthogonal ``(batch, 4, 4)`` with these columns for |0 0> and |0 1>; a product where ``above`` is cut.

    Rows are (upper qubit, lower qubit); the second column is absent where ``below`` is false.
    """
    lower = _two(columns[:, :2], below)
    product = _kron(torch.eye(2).to(lower), lower)
    present = torch.stack([torch.ones_like(below), below], 1).to(columns)
    # what the given columns do not span, in any basis of it
    span = columns @ columns.mT
    _, basis = torch.linalg.eigh(torch.eye(4).to(columns) - span)
    free = basis.flip(2)
    second = torch.where(present[:, None, 1:] > 0, columns[:, :, 1:], free[:, :, 2:3])
    whole = torch.cat([columns[:, :, :1], second, free[:, :, :2]], 2)
    return torch.where(above[:, None, None], whole, product)


def _two(columns: Tensor, both: Tensor) -> Tensor:
    """Orthogonal ``(batch, 2, 2)`` from two columns, the second made where it is absent."""
    first = columns[:, :, 0]
    length = torch.linalg.vector_norm(first, dim=1, keepdim=True)
    first = torch.where(length > 0, first / length.clamp_min(1e-30), torch.eye(2).to(first)[0])
    orthogonal = torch.stack([-first[:, 1], first[:, 0]], 1)
    second = torch.where(both[:, None], columns[:, :, 1], orthogonal)
    return torch.stack([first, second], 2)


def _rotation(matrix: Tensor) -> Tensor:
    """The same with determinant one: the last column, of a state that is not met, may turn round."""
    sign = torch.linalg.det(matrix).sign()
    return torch.cat([matrix[:, :, :3], matrix[:, :, 3:] * sign[:, None, None]], 2)


def _kron(left: Tensor, right: Tensor) -> Tensor:
    """Kronecker products of ``(batch or none, 2, 2)`` matrices."""
    left, right = (m if m.ndim == 3 else m[None] for m in (left, right))
    return torch.einsum(
        "bij,bkl->bikjl",
        left.expand(max(len(left), len(right)), 2, 2),
        right.expand(max(len(left), len(right)), 2, 2),
    ).reshape(-1, 4, 4)


def applied(layer: Sequence[PairGate], states: Tensor) -> Tensor:
    """The gates of a layer on states ``(batch, 2**n)``."""
    for gate in layer:
        states = _on(gate.place, gate.matrix, states)
    return states


def undone(layer: Sequence[PairGate], states: Tensor) -> Tensor:
    """The inverse of :func:`applied`."""
    for gate in reversed(layer):
        states = _on(gate.place, gate.matrix.mT, states)
    return states


def _on(place: int, matrix: Tensor, states: Tensor) -> Tensor:
    batch, size = states.shape
    view = states.reshape(batch, 2**place, 4, -1)
    return (matrix[:, None] @ view).reshape(batch, size)


def refined(layers: Sequence[Layer], states: Tensor, sweeps: int) -> list[Layer]:
    """Every entangling gate in turn replaced by the rotation of largest overlap, so many times.

    The overlap is linear in each gate, ``tr(E^T G)``; its largest value over rotations is that of the polar
    factor of ``E``, with the last singular value turned round where that is a reflection.
    """
    gates = [gate for layer in layers for gate in layer]
    for _ in range(sweeps):
        before = torch.zeros_like(states)
        before[:, 0] = 1
        after = undone(gates, states)  # what all gates still have to act on
        for number, gate in enumerate(gates):
            after = _on(gate.place, gate.matrix, after)
            best = torch.where(gate.entangles[:, None, None], _best(gate.place, before, after), gate.matrix)
            gates[number] = replace(gate, matrix=best)
            before = _on(gate.place, best, before)
    sizes = [len(layer) for layer in layers]
    rest, grouped = iter(gates), []
    for size in sizes:
        grouped.append(tuple(next(rest) for _ in range(size)))
    return grouped


def _best(place: int, before: Tensor, after: Tensor) -> Tensor:
    """The rotation ``G`` of largest ``|<after| G |before>|``."""
    batch = len(before)
    left, right = (part.reshape(batch, 2**place, 4, -1) for part in (after, before))
    environment = torch.einsum("baic,bajc->bij", left, right)
    u, _, vt = torch.linalg.svd(environment)
    sign = torch.linalg.det(u @ vt).sign()
    turned = torch.cat([u[:, :, :3], u[:, :, 3:] * sign[:, None, None]], 2)
    best: Tensor = turned @ vt
    return best


def to_fidelity(states: Tensor, target: float, layers: int = 3, sweeps: int = 0) -> Prepared:
    """For each state the cheapest circuit tried that reaches the target; where none does, the nearest to it.

    Args:
        states: real unit vectors ``(batch, 2**n)``.
        target: fidelity in (0, 1].
        layers: at most so many.
        sweeps: of refinement, for every circuit tried.

    >>> product = torch.tensor([[0.5, 0.5, 0.5, 0.5]]).double()
    >>> to_fidelity(product, 0.9).cnots.tolist()
    [0]
    """
    best: Prepared | None = None
    for depth in range(1, layers + 1):
        for threshold in THRESHOLDS:
            candidate = prepared(states, depth, threshold, sweeps)
            best = candidate if best is None else candidate.where(_preferred(candidate, best, target), best)
        assert best is not None
        if bool((best.fidelity >= target).all()):
            break
    assert best is not None
    return best


def _preferred(one: Prepared, other: Prepared, target: float) -> Tensor:
    """Which rows of the first are better: they reach the target, then are cheaper; or come nearer to it."""
    enough, had = one.fidelity >= target, other.fidelity >= target
    cheaper = (one.cnots < other.cnots) | ((one.cnots == other.cnots) & (one.fidelity > other.fidelity))
    nearer = ~enough & ~had & (one.fidelity > other.fidelity)
    return (enough & ~had) | (enough & had & cheaper) | nearer
