"""Defects of the spine that were found by attacking it, each with the smallest attack that shows it."""

import signal
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from test_runs import entered, files, squares, store

from robustq.cli.worker import worker
from robustq.errors import RunError
from robustq.runs import Assignment, Store, Unit, Worker, embedded, environment, execute
from robustq.runs.maintenance import absorb, check, collect_garbage, run_states
from robustq.runs.payloads import digest
from robustq.runs.store import Outcome

__all__ = ["store"]


@pytest.mark.parametrize("name", ["a b", "ü", "a%20b", "a?b=c", "a#b", "50%"])
def test_a_run_folder_may_have_any_name(tmp_path, name):
    """Built into a URL, `?` cut the path off and `%20` led to the folder of another run."""
    execute([squares(1)], tmp_path / name, workers=0)
    assert (tmp_path / name / "store" / "store.sqlite").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("url", ["postgresql://u:secret@h:port/x", "://u:secret@h", "sqlite://"])
def test_a_malformed_url_is_one_sentence_without_its_password(url):
    with pytest.raises(RunError) as told:
        Store.open(url)
    assert "secret" not in str(told.value)


def test_looking_at_a_foreign_database_makes_no_tables_in_it(tmp_path):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as theirs:
        theirs.execute("CREATE TABLE books (title TEXT)")
    with pytest.raises(RunError, match=r"expected a store, but .* holds none"):
        Store.open(str(tmp_path / "theirs.sqlite"), create=False)
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("books",)]


def test_units_leased_by_a_lost_answer_are_not_lost(store, monkeypatch):
    """The connection is lost after COMMIT: what was lent then would be kept leased by a worker that knows nothing."""
    entered(store, squares(8))
    engine, lost = store.database.engine, []

    class Losing:
        def begin(self):
            outer = engine.begin()

            class Transaction:
                def __enter__(self):
                    return outer.__enter__()

                def __exit__(self, *failure):
                    outer.__exit__(*failure)
                    if not lost:
                        lost.append(1)
                        raise OperationalError("COMMIT", {}, Exception("locked: the server is gone"))

            return Transaction()

    monkeypatch.setitem(store.database.__dict__, "engine", Losing())
    got = {task.id for task in store.lease("one", environment(), limit=4)}
    monkeypatch.setitem(store.database.__dict__, "engine", engine)
    query = text("SELECT id FROM units WHERE state = 'leased'")
    assert lost
    assert set(store.database.transact(lambda c: c.execute(query).scalars().all())) == got


def test_a_continued_run_does_not_wait_for_the_leases_of_the_dead(tmp_path):
    store = Store.open(embedded(tmp_path))
    entered(store, squares(3))
    store.lease("killed with its driver", environment(), limit=3, seconds=3600)
    execute([squares(3)], tmp_path, workers=0)
    assert len(files(tmp_path)) == 3


def test_what_older_code_left_undone_is_no_part_of_the_run(tmp_path):
    """An edit in the middle of a run: neither its progress nor `robustq runs` may count what nobody will do."""
    store = Store.open(embedded(tmp_path))
    store.add("run", squares(3), "older code")
    (done,) = store.lease("one", "older code")
    store.finish("one", [Outcome(done.id, {}, {}, 0.1)])
    told = []
    execute([squares(2)], tmp_path, workers=0, progress=lambda *news: told.append(news))
    assert told[0] == ("starting", 0, 2)
    assert told[-1][1:] == (2, 2)
    assert run_states(store)[0].finished


def test_a_moved_run_folder_says_where_it_is_now(tmp_path):
    execute([squares(1)], tmp_path / "before", workers=0)
    (tmp_path / "before").rename(tmp_path / "after")
    execute([squares(2)], tmp_path / "after", workers=0)
    assert run_states(Store.open(embedded(tmp_path / "after")))[0].folder == str(tmp_path / "after")
    assert len(files(tmp_path / "after")) == 2


def test_two_processes_never_write_in_one_units_folder(tmp_path):
    """The lease ran out while the first slept (a laptop's lid): the second waits until the first is through."""
    log = tmp_path / "log"
    unit = Unit("works:alone", {"log": str(log), "seconds": 0.3}, "unit", "one at a time")
    store = Store.open(embedded(tmp_path))
    entered(store, [unit])
    assignment = Assignment(embedded(tmp_path), run="run", folder=str(tmp_path))
    first = threading.Thread(target=Worker(assignment).work)
    first.start()
    while not log.exists():
        time.sleep(0.01)
    store.database.transact(lambda c: c.execute(text("UPDATE units SET lease_ends = 0")))
    Worker(assignment).work()
    first.join()
    assert log.read_text().split() == ["begin", "end", "begin", "end"]
    assert store.conflicts() == []


def test_a_whole_file_of_the_run_mends_its_store(tmp_path):
    """`store check` says: run it again; and that must help."""
    execute([squares(2)], tmp_path, workers=0)
    next((tmp_path / "store" / "payloads").glob("??/*")).write_bytes(b"damaged")
    assert not check(Store.open(embedded(tmp_path))).is_sound
    execute([squares(2)], tmp_path, workers=0)
    assert check(Store.open(embedded(tmp_path))).is_sound


def test_a_damaged_result_is_made_from_nothing(tmp_path):
    """A function that keeps what it finds must not find the damaged file."""
    unit = Unit("works:once", {}, "unit", "kept if there")
    execute([[unit]], tmp_path, workers=0)
    for path in (tmp_path / "store" / "payloads").glob("??/*"):
        path.write_bytes(b"damaged")
    (tmp_path / "unit" / "value.json").write_text("2")
    execute([[unit]], tmp_path, workers=0)
    assert (tmp_path / "unit" / "value.json").read_text() == "1"


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "a/../../outside.json"])
def test_a_shared_store_cannot_have_files_written_elsewhere(store, tmp_path, name):
    (unit,) = entered(store, squares(1))
    store.payloads.put({digest(b"evil"): b"evil"})
    store.finish("somebody", [Outcome(unit, {name: digest(b"evil")}, {}, 0.1)])
    with pytest.raises(RunError, match="expected a name within its folder"):
        store.write(unit, tmp_path / "run" / "unit")
    assert not list(tmp_path.rglob("outside.json"))


def test_a_result_of_a_unit_that_was_dropped_meanwhile_is_dropped_too(store):
    store.finish("one", [Outcome("0" * 64, {}, {}, 0.1)])
    assert store.counts("run", environment()) == {}


def test_an_unfinished_store_can_be_imported(store, tmp_path):
    """Units that are not done stay away, and with them their place in the run."""
    other = Store.open(str(tmp_path / "other.sqlite"))
    entered(other, squares(3))
    (task,) = other.lease("one", environment())
    other.finish("one", [Outcome(task.id, {}, {}, 0.1)])
    assert absorb(store, other) == (1, [])
    assert run_states(store)[0].units == {"done": 1}


def test_rubbish_is_not_collected_while_somebody_works(store):
    """A file is kept before its result is known."""
    entered(store, squares(1))
    store.lease("one", environment())
    with pytest.raises(RunError, match="nobody works"):
        collect_garbage(store)
    store.release("one")
    assert collect_garbage(store) == (0, 0)


def test_two_stores_in_one_folder_do_not_tidy_each_other_away(tmp_path):
    one, two = (Store.open(str(tmp_path / name)) for name in ("one.sqlite", "two.sqlite"))
    entered(one, squares(2))
    Worker(Assignment(one.database.url)).work()
    collect_garbage(two)
    assert check(one).is_sound


def test_many_open_a_new_store_at_once(tmp_path):
    errors = []

    def make():
        try:
            Store.open(str(tmp_path / "store.sqlite"))
        except RunError as failure:
            errors.append(failure)

    threads = [threading.Thread(target=make) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_heartbeat_survives_an_outage(store, monkeypatch):
    worker = Worker(Assignment(store.database.url, lease=0.2))
    calls = []

    def renew(*_):
        calls.append(1)
        raise RunError("the store is away")

    monkeypatch.setattr(type(worker.store), "renew", renew)
    with worker._heartbeat():
        time.sleep(0.4)
    assert len(calls) > 2


def test_a_worker_that_is_asked_to_leave_gives_back_what_it_has(tmp_path):
    """Slurm and Kubernetes send SIGTERM; ten such evictions are not the unit's fault."""
    store = Store.open(str(tmp_path / "store.sqlite"))
    entered(store, [Unit("works:evicted", {}, "a", "evicted")])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as left:
            worker(str(store.database.path), tags="", idle=0.0, allow="works", lease=60.0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left.value.code == 143
    row = store.database.transact(lambda c: c.execute(text("SELECT state, losses, owner FROM units")).one())
    assert tuple(row) == ("waiting", 0, None)


def test_the_calling_process_tells_of_its_work_and_does_not_rest_from_it(tmp_path, monkeypatch):
    """It rested five times as long as it had worked, and told of nothing before all was done."""
    monkeypatch.setattr("robustq.runs.executors.here.SECONDS", 0.1)
    units = [Unit("robustq.runs.unit:idle", {"number": k}, f"u/{k}", f"idle {k}") for k in range(1001)]
    told, rested, sleep = [], [], time.sleep
    monkeypatch.setattr("robustq.runs.execution.time.sleep", lambda seconds: rested.append(seconds) or sleep(0.0))
    began = time.monotonic()
    execute([units], tmp_path, workers=0, progress=lambda *news: told.append(time.monotonic()))
    assert len(told) == 1002
    assert told[1] - began < 0.9 * (told[-1] - began)
    assert max(rested) < 0.5
