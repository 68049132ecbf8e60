"""Quantum error correction of classifiers, none, partial or full: logical rates, noise, costs."""

from robustq.mitigation.correction.frames import Framed, framed
from robustq.mitigation.correction.law import Law, fit
from robustq.mitigation.correction.partial import (
    LogicalRates,
    Overhead,
    fully_corrected,
    logical_interval,
    logical_rates,
    overhead,
    partially_corrected,
    uncorrected,
)
from robustq.mitigation.correction.surface import Memory, measure, memory_circuit, patch_qubits

__all__ = [
    "Framed",
    "Law",
    "LogicalRates",
    "Memory",
    "Overhead",
    "fit",
    "framed",
    "fully_corrected",
    "logical_interval",
    "logical_rates",
    "measure",
    "memory_circuit",
    "overhead",
    "partially_corrected",
    "patch_qubits",
    "uncorrected",
]
