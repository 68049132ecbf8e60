"""A PostgreSQL server of the tests' own, on loopback, thrown away afterwards."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="session")
def _works_are_found():
    """Worker processes look for the tests' functions where this process does."""
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


def _program(name):
    found = shutil.which(name)
    return found or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@pytest.fixture(scope="session")
def _server(tmp_path_factory):
    pytest.importorskip("psycopg")
    initdb, control = _program("initdb"), _program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL server is installed")
    folder = Path("/tmp") / f"robustq-pg-{uuid.uuid4().hex[:8]}"  # a socket's path must be short
    folder.mkdir()
    user = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody")
        user = ("runuser", "-u", "nobody", "--")
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*user, initdb, "-D", str(folder / "data"), "-U", "robustq", "-A", "trust"], **run)
    options = f"-c listen_addresses='' -k {folder} -c max_connections=200"
    subprocess.run(
        [*user, control, "-D", str(folder / "data"), "-o", options, "-w", "-l", str(folder / "log"), "start"], **run
    )
    yield folder
    subprocess.run([*user, control, "-D", str(folder / "data"), "-m", "immediate", "-W", "stop"], **run)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(_server):
    """A fresh database."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"postgresql://robustq@/postgres?host={_server}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://robustq@/{name}?host={_server}"
