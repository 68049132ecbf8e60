"""Units on Ray: two nodes on this machine, loopback only, the same bytes, a node that is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robustq.errors import RunError
from robustq.runs import Compute

pytest.importorskip("ray")
pytestmark = pytest.mark.prove
HERE = Path(__file__).parent


def in_fresh_python(code, *arguments, **environment):
    """Ray is started once a process, so each test has one of its own; the last line it prints is JSON."""
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.strip().splitlines()[-1])


START = """
import json, os, sys, time, pathlib, psutil
from test_runs import files, squares
from robustq.runs import Compute, Identity, Unit, execute
run = pathlib.Path(sys.argv[1])
OURS = frozenset({"works"})
"""

LISTENING = """
from robustq.runs.executors.ray import Ray
from robustq.runs import Assignment
executor = Ray(2)
executor.start(Assignment("sqlite:///" + str(run / "store.sqlite")))
mine = {p.pid for p in psutil.Process().children(recursive=True)} | {os.getpid()}
places = [c.laddr.ip for c in psutil.net_connections("inet") if c.status == "LISTEN" and c.pid in mine]
executor.stop()
print(json.dumps(sorted(set(places))))
"""


def test_what_we_start_listens_on_loopback_only(tmp_path):
    places = in_fresh_python(START + LISTENING, tmp_path)
    assert places
    assert all(place.replace("::ffff:", "") in ("127.0.0.1", "::1") for place in places)


def test_the_bytes_are_those_of_a_serial_run(tmp_path):
    code = START + (
        "execute([squares(6)], run / 'serial', workers=0)\n"
        "execute([squares(6)], run / 'ray', compute=Compute(workers=2, executor='ray'))\n"
        "print(json.dumps([files(run / 'serial') == files(run / 'ray'), len(files(run / 'ray'))]))\n"
    )
    assert in_fresh_python(code, tmp_path) == [True, 6]


LOSS = """
import secrets, threading
from robustq.runs.executors.ray import LOOPBACK
os.environ.update(LOOPBACK, RAY_AUTH_TOKEN=secrets.token_hex(32))
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
threading.Timer(12.0, lambda: cluster.remove_node(second, allow_graceful=False)).start()
compute = Compute(executor="ray", address=cluster.address, store=str(run / "store.sqlite"), lease=5, allow=OURS)
execute([squares(40, seconds=0.4)], run / "ray", compute=compute, identity=Identity("loss"))
execute([squares(40, seconds=0.4)], run / "serial", workers=0)
print(json.dumps([files(run / "serial") == files(run / "ray"), len(files(run / "ray"))]))
os._exit(0)
"""


def test_a_lost_node_loses_nothing(tmp_path):
    assert in_fresh_python(START + LOSS, tmp_path) == [True, 40]


def test_an_open_cluster_is_not_joined(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RunError, match=r"expected a token for 10\.0\.0\.1:6379"):
        Compute(executor="ray", address="10.0.0.1:6379").start()
    assert Compute(executor="ray", address="10.0.0.1:6379", insecure=True).start() is not None


def test_a_dead_address_is_one_sentence(tmp_path):
    code = START + (
        "from robustq.errors import RunError\n"
        "try:\n"
        "    compute = Compute(executor='ray', address='127.0.0.1:1', store=str(run / 's'))\n"
        "    execute([squares(1)], run, compute=compute)\n"
        "except RunError as failure:\n"
        "    print(json.dumps(str(failure)))\n"
    )
    told = in_fresh_python(code, tmp_path, RAY_AUTH_TOKEN="0" * 64)
    assert told.startswith("ray: expected a cluster at 127.0.0.1:1")
