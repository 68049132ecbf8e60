"""The units of a run done in this process: for tests of what is measured, not of how work is shared out."""

from contextlib import contextmanager
from unittest import mock

from robustq.bench import study
from robustq.runs import execute


def _here(*arguments, **options):
    execute(*arguments, **(options | {"workers": 0}))


@contextmanager
def in_place():
    """Within it no worker processes are started: each would take seconds to import what is imported here."""
    with mock.patch.object(study, "execute", _here):
        yield
