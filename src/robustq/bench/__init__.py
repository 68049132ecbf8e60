"""Assessments: a specification, a resumable run, results with intervals."""

from robustq.bench.matrix import Matrix, read_matrix
from robustq.bench.results import Results, read_results
from robustq.bench.runner import assess
from robustq.bench.spec import Spec, completed, parse, read
from robustq.bench.transfer import transfer

__all__ = [
    "Matrix", "Results", "Spec", "assess", "completed", "parse", "read", "read_matrix", "read_results",
    "transfer",
]  # fmt: skip
