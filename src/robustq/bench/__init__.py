"""Assessments: a specification, a resumable run, results with intervals."""

from robustq.bench.defence_table import DefenceTable, read_table, read_timing
from robustq.bench.matrix import Matrix, read_matrix
from robustq.bench.pareto import Front, read_front
from robustq.bench.results import Results, read_results
from robustq.bench.spec import Spec, completed, parse, read
from robustq.bench.studies.assess.study import Assessment, assess
from robustq.bench.studies.codesign.search import Search, codesign
from robustq.bench.studies.defend.study import DefenceStudy, defend
from robustq.bench.studies.transfer import TransferStudy, transfer
from robustq.bench.study import Study, perform

__all__ = [
    "Assessment",
    "DefenceStudy",
    "DefenceTable",
    "Front",
    "Matrix",
    "Results",
    "Search",
    "Spec",
    "Study",
    "TransferStudy",
    "assess",
    "codesign",
    "completed",
    "defend",
    "parse",
    "perform",
    "read",
    "read_front",
    "read_matrix",
    "read_results",
    "read_table",
    "read_timing",
    "transfer",
]
