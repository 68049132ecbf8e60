"""Assessments: a specification, a resumable run, results with intervals."""

from robustq.bench.results import Results, read_results
from robustq.bench.runner import assess
from robustq.bench.spec import Spec, completed, parse, read

__all__ = ["Results", "Spec", "assess", "completed", "parse", "read", "read_results"]
