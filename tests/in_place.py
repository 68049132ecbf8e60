"""The units of a run done in this process: for tests of what is measured, not of how work is shared out."""

from concurrent.futures import Executor, Future
from contextlib import contextmanager
from unittest import mock

from robustq.bench import runner


class InPlace(Executor):
    """Does a job when it is handed in; a stand-in for a pool of processes."""

    _processes = None

    def __init__(self, *_, **__):
        super().__init__()

    def submit(self, work, *arguments):
        done = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done


@contextmanager
def in_place():
    """Within it no worker processes are started: each would take seconds to import what is imported here."""
    with mock.patch.object(runner, "ProcessPoolExecutor", InPlace):
        yield
