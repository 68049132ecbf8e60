"""The same real units by every executor, and under random deaths: byte-equal, none lost, none twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from test_ray import START, in_fresh_python
from test_runs import files

from robustq.runs import Compute, Identity, Store, Unit, environment, execute
from robustq.runs.maintenance import check

pytestmark = pytest.mark.prove
HERE = Path(__file__).parent
OURS = frozenset({"works"})  # the package of the units' functions
COUNT = int(os.environ.get("ROBUSTQ_UNITS", "300"))
PAUSE = float(os.environ.get("ROBUSTQ_CHAOS_PAUSE", "0.3"))  # seconds a unit sleeps, so that death finds it at work
SECONDS = float(os.environ.get("ROBUSTQ_CHAOS_SECONDS", "60"))  # a bound; deaths stop when it is over


def trainings(pause=0.0):
    return [Unit("works:train", {"seed": k, "pause": pause}, f"units/{k}", f"training {k}") for k in range(COUNT)]


def environ():
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def start_worker(url, lease=5):
    """One `robustq worker`."""
    command = [sys.executable, "-m", "robustq", "worker", "--store", url, "--allow", "works", "--idle", "600"]
    return subprocess.Popen(
        [*command, "--lease", str(lease)], env=environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    run = tmp_path_factory.mktemp("serial")
    execute([trainings()], run, workers=0)
    assert len(files(run)) == COUNT
    return run


def test_processes(serial, tmp_path):
    execute([trainings()], tmp_path, workers=2)
    assert files(tmp_path) == files(serial)


ON_RAY = """
import secrets
from robustq.runs.executors.ray import LOOPBACK
os.environ.update(LOOPBACK, RAY_AUTH_TOKEN=secrets.token_hex(32))
from ray.cluster_utils import Cluster
from test_everywhere import trainings
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
compute = Compute(executor="ray", address=cluster.address, store=str(run / "store" / "s.sqlite"), allow=OURS)
execute([trainings()], run, compute=compute, identity=Identity("ray"))
print(json.dumps(len(files(run))))
os._exit(0)
"""


def test_ray_with_two_nodes(serial, tmp_path):
    assert in_fresh_python(START + ON_RAY, tmp_path) == COUNT
    assert files(tmp_path) == files(serial)


def test_three_workers_on_postgresql(serial, tmp_path, postgresql_url):
    workers = [start_worker(postgresql_url) for _ in range(3)]
    try:
        execute(
            [trainings()],
            tmp_path,
            compute=Compute(executor="none", store=postgresql_url, allow=OURS),
            identity=Identity("three"),
        )
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert files(tmp_path) == files(serial)


DRIVER = """
import sys, pathlib, signal
from robustq.runs import Compute, Identity, execute
from test_everywhere import OURS, PAUSE, trainings
if __name__ == "__main__":
    compute = Compute(executor=sys.argv[3], store=sys.argv[2], workers=1, lease=5, allow=OURS)
    execute([trainings(PAUSE)], pathlib.Path(sys.argv[1]), compute=compute, identity=Identity("chaos"))
"""


def start_driver(run, url, executor, log):
    command = [sys.executable, "-c", DRIVER, str(run), url, executor]
    with open(log, "a") as errors:
        return subprocess.Popen(
            command, env=environ(), start_new_session=True, stdout=subprocess.DEVNULL, stderr=errors
        )


def kill_all_of(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_a_ray_node():
    """The raylet of the driver's cluster, and with it the node's workers."""
    subprocess.run(["pkill", "-9", "-f", "raylet/raylet"], check=False)


def cut_connections(store):
    """The server ends every session but the one that asks."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    store.database.transact(lambda c: c.execute(text(query)))


def test_chaos(serial, tmp_path, postgresql_url, capsys):
    """kill -9 of workers, of a Ray node, of the driver, and of every connection to the store, at random.

    A driver that gives up (its only Ray node is gone, say) is started again, as a person would.
    """
    draw, store = random.Random(7), Store.open(postgresql_url)
    run, events = tmp_path / "run", dict.fromkeys(("worker", "driver", "node", "connections", "gave up"), 0)
    workers = [start_worker(postgresql_url) for _ in range(2)]
    log = tmp_path / "driver.log"
    driver, began = start_driver(run, postgresql_url, "ray", log), time.monotonic()
    try:
        while driver.poll() != 0 and time.monotonic() - began < SECONDS:
            time.sleep(draw.uniform(1.0, 6.0))
            kind = draw.choice(("worker", "driver", "node", "connections"))
            if driver.poll():
                kind = "gave up"
            events[kind] += 1
            if kind == "worker":
                place = draw.randrange(len(workers))
                workers[place].kill()
                workers[place].wait()
                workers[place] = start_worker(postgresql_url)
            elif kind in ("driver", "gave up"):
                if driver.poll() is None:
                    kill_all_of(driver)
                driver = start_driver(run, postgresql_url, draw.choice(["ray", "processes", "none"]), log)
            elif kind == "node":
                kill_a_ray_node()
            else:
                cut_connections(store)
        if driver.poll() is None:
            kill_all_of(driver)
        last = Compute(workers=2, store=postgresql_url, lease=5, allow=OURS)
        execute([trainings(PAUSE)], run, compute=last, identity=Identity("chaos"))
    finally:
        for process in (*workers, driver):
            if process.poll() is None:
                process.kill()
            process.wait()
        subprocess.run(["pkill", "-9", "-f", "raylet/raylet|gcs_server"], check=False)
    results = store.database.transact(lambda c: c.execute(text("SELECT count(*) FROM results")).scalar())
    sentences = [line for line in log.read_text().splitlines() if line.startswith("robustq.")]
    with capsys.disabled():
        print(f"\nchaos: {events} in {time.monotonic() - began:.0f} s, {COUNT} units", *sentences, sep="\n")
    assert store.counts("chaos", environment()) == {"done": COUNT}
    assert results == COUNT
    assert store.conflicts() == []
    assert check(store).is_sound
    assert files(run) == files(serial)
