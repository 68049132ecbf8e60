"""Assessments: a specification, a resumable run, results with intervals."""

from robustq.bench.codesign import codesign
from robustq.bench.defence_table import DefenceTable, read_table, read_timing
from robustq.bench.defend import defend
from robustq.bench.matrix import Matrix, read_matrix
from robustq.bench.pareto import Front, read_front
from robustq.bench.results import Results, read_results
from robustq.bench.runner import assess
from robustq.bench.spec import Spec, completed, parse, read
from robustq.bench.transfer import transfer

__all__ = [
    "DefenceTable",
    "Front",
    "Matrix",
    "Results",
    "Spec",
    "assess",
    "codesign",
    "completed",
    "defend",
    "parse",
    "read",
    "read_front",
    "read_matrix",
    "read_results",
    "read_table",
    "read_timing",
    "transfer",
]
