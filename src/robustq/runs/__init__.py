"""The spine of every run: units of work, done once each, wherever a worker can be had."""

from robustq.runs.compute import Compute
from robustq.runs.environment import code_version, environment, versions
from robustq.runs.execution import Identity, Progress, embedded, execute
from robustq.runs.store import Store
from robustq.runs.unit import Unit, Work, Workspace, canonical
from robustq.runs.worker import Assignment, Worker

__all__ = [
    "Assignment",
    "Compute",
    "Identity",
    "Progress",
    "Store",
    "Unit",
    "Work",
    "Worker",
    "Workspace",
    "canonical",
    "code_version",
    "embedded",
    "environment",
    "execute",
    "versions",
]
