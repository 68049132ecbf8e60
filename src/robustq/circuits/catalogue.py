"""The encodings, ansaetze and read-outs that a specification can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robustq.catalogue import Entry
from robustq.circuits import ansaetze, encodings, observables
from robustq.circuits.circuit import Circuit
from robustq.circuits.observables import Observable

Readout = tuple[Observable, ...]


@dataclass(frozen=True)
class AnsatzEntry(Entry[Circuit]):
    """One ansatz, and whether its depth is a number of ``layers`` or its own."""

    layered: bool = field(default=True, kw_only=True)


ENCODINGS: Mapping[str, Entry[Circuit]] = {
    "angle": Entry(encodings.angle, "one feature a qubit, as a rotation", "Schuld & Petruccione 2018"),
    "basis": Entry(encodings.basis, "one bit a qubit", "Schuld & Petruccione 2018"),
    "dense-angle": Entry(encodings.dense_angle, "two features a qubit", "LaRose & Coyle, PRA 102 (2020)"),
    "amplitude": Entry(encodings.amplitude, "2^n features on n qubits", "Schuld & Petruccione 2018"),
    "iqp": Entry(encodings.iqp, "diagonal phases of products", "Havlicek et al., Nature 567 (2019)"),
    "zz": Entry(encodings.zz_feature_map, "Qiskit's ZZ feature map", "Havlicek et al., Nature 567 (2019)"),
    "reuploading": Entry(
        encodings.reuploading, "trainable scale and shift, layer by layer", "Perez-Salinas et al., Quantum 4 (2020)"
    ),
}

ANSAETZE: Mapping[str, AnsatzEntry] = {
    "strongly-entangling": AnsatzEntry(
        ansaetze.strongly_entangling, "general rotations, CNOT rings", "Schuld et al., PRA 101 (2020)"
    ),
    "hardware-efficient": AnsatzEntry(
        ansaetze.hardware_efficient, "RY, RZ and a CZ ladder", "Kandala et al., Nature 549 (2017)"
    ),
    "brickwork": AnsatzEntry(
        ansaetze.brickwork, "RY and alternating CZ bricks", "Cerezo et al., Nat. Commun. 12 (2021)"
    ),
    "qcnn": AnsatzEntry(
        ansaetze.qcnn, "convolution and pooling", "Cong, Choi, Lukin, Nat. Phys. 15 (2019)", layered=False
    ),
    "tree-tensor": AnsatzEntry(
        ansaetze.tree_tensor, "binary tree of blocks", "Grant et al., npj QI 4 (2018)", layered=False
    ),
}

READOUTS: Mapping[str, Entry[Readout]] = {
    "per-qubit-z": Entry(observables.per_qubit_z, "class k scores Z of qubit k", "Schuld et al., PRA 101 (2020)"),
    "parity": Entry(observables.parity, "number of ones modulo the classes", "Havlicek et al., Nature 567 (2019)"),
    "basis-groups": Entry(
        observables.basis_groups, "probability of a group of basis states", "Farhi & Neven, arXiv:1802.06002"
    ),
}
