"""``robustq`` run in this process: the same arguments, output and exit code, without starting another one."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest import mock

from robustq.cli.main import main


def robustq(*arguments, cwd=".", **environment):
    """What a process would print and exit with; an error that ``main`` lets through fails the test."""
    told, notes, code = io.StringIO(), io.StringIO(), 0
    with (
        chdir(cwd),
        mock.patch.dict(os.environ, {"COLUMNS": "160", **environment}),
        mock.patch.object(sys, "argv", ["robustq", *arguments]),
        redirect_stdout(told),
        redirect_stderr(notes),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    return subprocess.CompletedProcess(arguments, code, told.getvalue(), notes.getvalue())
