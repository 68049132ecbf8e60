"""The spine of a run: each unit done once, whoever works, whoever dies, and the same bytes."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from robustq.errors import RunError, SpecError
from robustq.runs import Assignment, Compute, Identity, Store, Unit, Worker, embedded, environment, execute
from robustq.runs.database import file_system
from robustq.runs.maintenance import absorb, check, collect_garbage, export, run_states
from robustq.runs.store import LOSSES, Outcome, unit_id

OURS = frozenset({"works"})  # the package of the units' functions


def squares(count, **more):
    return [Unit("works:square", {"number": k, **more}, f"units/{k}", f"square of {k}") for k in range(count)]


def files(run, leave_out=("timing.json",)):
    """What a run left, by name, without wall times."""
    return {
        p.relative_to(run).as_posix(): p.read_bytes()
        for p in sorted(run.rglob("*"))
        if p.is_file() and "store" not in p.relative_to(run).parts and p.name not in (*leave_out, ".unit")
    }


@pytest.fixture
def serial(tmp_path):
    run = tmp_path / "serial"
    execute([squares(6)], run, workers=0)
    return run


def test_a_unit_is_done_and_its_files_are_in_the_run_folder(serial):
    assert files(serial) == {f"units/{k}/square.json": str(k * k).encode() for k in range(6)}


def test_processes_give_the_same_bytes(serial, tmp_path):
    execute([squares(6)], tmp_path / "two", workers=2)
    assert files(tmp_path / "two") == files(serial)


def test_later_units_read_what_earlier_ones_made(tmp_path):
    first = squares(4)
    last = Unit("works:total", {}, "total", "the sum", inputs=tuple(first))
    execute(iter([first, [last]]), tmp_path, workers=0)
    assert json.loads((tmp_path / "total" / "total.json").read_text()) == 0 + 1 + 4 + 9


def test_what_is_done_is_not_done_again(tmp_path):
    execute([squares(3)], tmp_path, workers=0)
    before = [(tmp_path / f"units/{k}/timing.json").read_bytes() for k in range(3)]
    told = []
    execute([squares(5)], tmp_path, workers=0, progress=lambda *news: told.append(news))
    assert [(tmp_path / f"units/{k}/timing.json").read_bytes() for k in range(3)] == before
    assert told == [("starting", 3, 5), ("square of 3", 4, 5), ("square of 4", 5, 5)]


def test_a_damaged_file_comes_back_from_the_store_and_a_lost_one_is_made_again(serial):
    wanted = files(serial)
    (serial / "units/3/square.json").write_text("10")
    execute([squares(6)], serial, workers=0)
    assert files(serial) == wanted
    for path in (serial / "store" / "payloads").glob("??/*"):
        path.write_bytes(b"damaged")
    (serial / "units/3/square.json").write_text("10")
    execute([squares(6)], serial, workers=0)
    assert files(serial) == wanted


def test_a_killed_worker_is_replaced_and_its_unit_goes_on_where_it_was(tmp_path):
    """Killed after each of three stages: every stage is done once."""
    log = tmp_path / "log"
    execute([[Unit("works:by_stages", {"log": str(log)}, "unit", "stages")]], tmp_path / "run", workers=1)
    assert log.read_text().split() == ["0", "1", "2"]


@pytest.mark.prove  # test_a_unit_whose_workers_die_again_and_again_fails is the quick one
def test_a_unit_that_kills_its_workers_is_given_up(tmp_path):
    with pytest.raises(RunError, match="worker"):
        execute([[Unit("works:deadly", {}, "unit", "deadly")]], tmp_path, workers=1)


def test_an_error_of_the_input_comes_back_as_it_was_raised(tmp_path):
    with pytest.raises(SpecError, match=r"^expected a better world, got this one$"):
        execute([[Unit("works:refused", {}, "unit", "refused")]], tmp_path, workers=0)


def test_an_error_of_the_code_names_the_unit_and_the_line(tmp_path):
    with pytest.raises(RunError, match=r"^the broken one: ZeroDivisionError: .*works\.py:\d+"):
        execute([[Unit("works:broken", {}, "unit", "the broken one")]], tmp_path, workers=0)


def test_a_failed_unit_is_tried_again_by_the_next_call(tmp_path):
    with pytest.raises(SpecError):
        execute([[*squares(2), Unit("works:refused", {}, "unit", "refused")]], tmp_path, workers=0)
    execute([squares(2)], tmp_path / "other", workers=0)
    with pytest.raises(SpecError):
        execute([[*squares(2), Unit("works:refused", {}, "unit", "refused")]], tmp_path, workers=0)


def test_a_fault_of_the_machine_is_tried_again_at_once(tmp_path):
    unit = Unit("works:once_out_of_space", {"mark": str(tmp_path / "mark")}, "unit", "full")
    execute([[unit]], tmp_path / "run", workers=0)
    assert (tmp_path / "run" / "unit" / "done.json").exists()


def test_two_units_of_one_name_are_refused(tmp_path):
    with pytest.raises(RunError, match="different names, got 'units/0' twice"):
        execute([squares(1) + squares(1, seconds=0.0)], tmp_path, workers=0)


def test_the_id_covers_what_decides_the_bytes_and_nothing_else():
    one = Unit("works:square", {"number": 1}, "a", "label")
    same = Unit("works:square", {"number": 1}, "b", "other words")
    ids = {
        unit_id(one, "e"),
        unit_id(Unit("works:square", {"number": 2}, "a", "label"), "e"),
        unit_id(Unit("works:total", {"number": 1}, "a", "label"), "e"),
        unit_id(Unit("works:square", {"number": 1}, "a", "label", needs=frozenset({"gpu"})), "e"),
        unit_id(Unit("works:square", {"number": 1}, "a", "label", inputs=(same,)), "e"),
        unit_id(one, "another environment"),
    }
    assert unit_id(same, "e") == unit_id(one, "e")
    assert len(ids) == 6
    with pytest.raises(RunError, match="plain data"):
        unit_id(Unit("works:square", {"number": float("nan")}, "a", ""), "e")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "sqlite":
        return Store.open(str(tmp_path / "shared.sqlite"))
    return Store.open(request.getfixturevalue("postgresql_url"))


def entered(store, units, run="run"):
    store.add(run, units, environment())
    return [unit_id(unit, environment()) for unit in units]


def test_a_unit_is_leased_to_one_worker_at_a_time(store):
    ids = entered(store, squares(10))
    one = store.lease("one", environment(), limit=3)
    two = store.lease("two", environment(), limit=100)
    assert len(one) == 3
    assert not {t.id for t in one} & {t.id for t in two}
    assert {t.id for t in one} | {t.id for t in two} <= set(ids)


def test_many_workers_never_get_the_same_unit(store):
    """Eight threads lease at once: a unit handed out twice would be in two lists."""
    entered(store, squares(200))
    got = [[] for _ in range(8)]

    def lease(k):
        while tasks := store.lease(f"worker {k}", environment(), limit=7):
            got[k] += [task.id for task in tasks]

    threads = [threading.Thread(target=lease, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [unit for part in got for unit in part]
    assert len(everything) == len(set(everything)) == 200


def test_a_lease_that_runs_out_is_given_to_another_and_counts_no_attempt(store):
    entered(store, squares(1))
    (task,) = store.lease("silent", environment(), seconds=1.5)
    store.start(task.id, "silent")
    assert store.lease("other", environment()) == []
    time.sleep(1.6)
    assert [t.id for t in store.lease("other", environment())] == [task.id]
    counted = store.database.transact(lambda c: c.execute(text("SELECT attempts, losses FROM units")).one())
    assert tuple(counted) == (0, 1)


def test_a_heartbeat_keeps_a_lease(store):
    entered(store, squares(1))
    store.lease("alive", environment(), seconds=1.5)
    store.renew("alive", 60)
    time.sleep(1.6)
    assert store.lease("other", environment()) == []


def test_a_unit_whose_workers_die_again_and_again_fails(store):
    entered(store, squares(1))
    for k in range(LOSSES):
        (task,) = store.lease(f"worker {k}", environment())
        store.start(task.id, f"worker {k}")
        store.release(f"worker {k}")
    assert store.lease("another", environment()) == []
    assert "died" in store.failures("run")[0].error


def test_the_first_result_stays_and_another_is_a_red_flag(store):
    (unit,) = entered(store, squares(1))
    store.lease("one", environment())
    store.finish("one", [Outcome(unit, {"a": "1" * 64}, {}, 0.1)])
    store.finish("two", [Outcome(unit, {"a": "1" * 64}, {"timing.json": "5" * 64}, 0.2)])
    assert store.conflicts() == []
    store.finish("three", [Outcome(unit, {"a": "2" * 64}, {}, 0.1)])
    assert store.manifests([unit])[unit]["a"] == "1" * 64
    assert store.conflicts() == [("square of 0", unit)]
    assert not check(store).is_sound


def test_a_unit_of_other_code_waits_for_it(store):
    store.add("run", squares(1), "another environment")
    assert store.lease("one", environment()) == []
    assert len(store.lease("two", "another environment")) == 1


def test_a_unit_that_needs_hardware_waits_for_it(store):
    store.add("run", [Unit("works:square", {"number": 1}, "a", "", needs=frozenset({"gpu"}))], environment())
    assert store.lease("one", environment()) == []
    assert len(store.lease("two", environment(), tags=frozenset({"gpu", "large"}))) == 1


def test_two_workers_of_their_own_share_a_run(store, tmp_path):
    """A driver that works itself not at all, and two workers that know only the store."""
    url = store.database.url
    workers = [threading.Thread(target=Worker(Assignment(url, lease=5)).work, kwargs={"wait": 3.0}) for _ in range(2)]
    for worker in workers:
        worker.start()
    first = squares(12)
    last = Unit("works:total", {}, "total", "the sum", inputs=tuple(first))
    execute(
        [first, [last]],
        tmp_path / "run",
        compute=Compute(executor="none", store=url, allow=OURS),
        identity=Identity("shared"),
    )
    for worker in workers:
        worker.join()
    assert json.loads((tmp_path / "run" / "total" / "total.json").read_text()) == sum(k * k for k in range(12))


def test_a_planted_non_deterministic_unit_is_caught(store, tmp_path):
    """Done by two who do not know of each other, then put together."""
    other = Store.open(str(tmp_path / "other.sqlite"))
    unit = Unit("works:undecided", {"number": 1}, "unit", "the undecided one")
    for place in (store, other):
        entered(place, [unit, *squares(2)])
        Worker(Assignment(place.database.url)).work()
    new, differing = absorb(store, other)
    assert (new, differing) == (0, [unit_id(unit, environment())])
    assert store.conflicts() == [("the undecided one", differing[0])]


def test_import_is_set_union(store, tmp_path):
    other = Store.open(str(tmp_path / "other.sqlite"))
    entered(store, squares(3))
    entered(other, squares(5), "theirs")
    for place in (store, other):
        Worker(Assignment(place.database.url)).work()
    assert absorb(store, other) == (2, [])
    assert absorb(store, other) == (0, [])
    assert check(store).results == 5
    assert check(store).is_sound
    assert {state.name: state.units for state in run_states(store)} == {"run": {"done": 3}, "theirs": {"done": 5}}


def test_check_finds_damage_and_rubbish_is_collected(tmp_path):
    store = Store.open(str(tmp_path / "store.sqlite"))
    entered(store, squares(2))
    Worker(Assignment(store.database.url)).work()
    spare = b"nobody names me"
    from robustq.runs.payloads import digest

    store.payloads.put({digest(spare): spare})
    assert collect_garbage(store) == (0, 1)
    assert check(store).is_sound
    victim = next(iter(store.manifests([unit_id(squares(2)[1], environment())]).values()))["square.json"]
    (tmp_path / "payloads" / victim[:2] / victim).write_bytes(b"?")
    assert check(store).lost == [unit_id(squares(2)[1], environment())]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export_has_a_row_a_unit(tmp_path, ending):
    if ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    store = Store.open(str(tmp_path / "store.sqlite"))
    entered(store, squares(3))
    path = tmp_path / f"units.{ending}"
    assert export(store, path) == 3
    rows = parquet.read_table(path).num_rows if ending == "parquet" else len(path.read_text().splitlines()) - 1
    assert rows == 3
    with pytest.raises(RunError, match=r"ends in \.parquet or \.csv"):
        export(store, tmp_path / "units.xlsx")


def test_bad_stores_are_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="there is no"):
        Store.open(str(tmp_path / "absent.sqlite"), create=False)
    with pytest.raises(RunError, match="expected a store's URL"):
        Store.open("://")
    with pytest.raises(RunError, match="sqlite or postgresql, got 'mysql'"):
        Store.open("mysql://somewhere/x")
    (tmp_path / "text.sqlite").write_text("this is no database, and it is long enough to be looked at" * 20)
    with pytest.raises(RunError, match="not a database"):
        Store.open(str(tmp_path / "text.sqlite"))
    store = Store.open(str(tmp_path / "old.sqlite"))
    store.database.transact(lambda c: c.execute(text("UPDATE properties SET value = '0'")))
    with pytest.raises(RunError, match="expected a store of version 1, got version 0"):
        Store.open(str(tmp_path / "old.sqlite"))
    monkeypatch.setattr("robustq.runs.database.file_system", lambda _: "nfs4")
    with pytest.raises(RunError, match="local disk for SQLite, whose locks do not hold on nfs4"):
        Store.open(str(tmp_path / "far.sqlite"))


def test_an_unreachable_server_is_one_sentence():
    pytest.importorskip("psycopg")
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"store postgresql.*127\.0\.0\.1") as told:
        Store.open("postgresql://nobody:secret@127.0.0.1:1/none")
    assert time.monotonic() - begun < 60
    assert "secret" not in str(told.value)


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    """The disk is full when the second unit's files are kept: the first stays, and room makes it go on."""
    from robustq.runs.payloads import FolderPayloads

    put, calls = FolderPayloads.put, []

    def full(self, contents):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        put(self, contents)

    monkeypatch.setattr(FolderPayloads, "put", full)
    with pytest.raises(RunError, match=r"No space left on device"):
        execute([squares(3)], tmp_path, workers=0)
    monkeypatch.setattr(FolderPayloads, "put", put)
    told = []
    execute([squares(3)], tmp_path, workers=0, progress=lambda *news: told.append(news))
    assert told[0] == ("starting", 1, 3)
    assert len(files(tmp_path)) == 3


def test_bad_choices_are_refused():
    for change, words in (
        ({"executor": "rya"}, "did you mean 'ray'"),
        ({"executor": "none"}, "expected a --store"),
        ({"workers": -1}, "expected 0 or more"),
        ({"address": "x"}, "expected the executor 'ray'"),
    ):
        with pytest.raises((RunError, SpecError), match=words):
            Compute(**change)


def test_the_file_system_of_a_path_is_known():
    assert file_system(Path("/proc/self/x")) == "proc"


def test_a_killed_driver_leaves_no_workers_and_loses_nothing(tmp_path):
    """kill -9 of the whole driver in the middle; the same call finishes, and nothing finished is done again."""
    code = (
        "import sys, pathlib; sys.path[:0] = sys.argv[2:]\n"
        "from test_runs import squares\nfrom robustq.runs import execute\n"
        "if __name__ == '__main__':\n    execute([squares(20, seconds=0.1)], pathlib.Path(sys.argv[1]), workers=2)\n"
    )
    here = Path(__file__).parent
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(here), str(here.parent)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("units/*/timing.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    store = Store.open(embedded(tmp_path))
    time.sleep(1.5)  # workers look for their parent twice a second
    done = store.counts("run", environment()).get("done", 0)
    assert 0 < done < 20
    before = {path: path.read_bytes() for path in tmp_path.glob("units/*/timing.json")}
    execute([squares(20, seconds=0.1)], tmp_path, workers=0)
    assert sum(path.read_bytes() == content for path, content in before.items()) >= done
    assert files(tmp_path) == {f"units/{k}/square.json": str(k * k).encode() for k in range(20)}


def test_no_process_stays_when_a_run_ends(tmp_path):
    import psutil

    before = {p.pid for p in psutil.Process(os.getpid()).children(recursive=True)}
    execute([squares(4)], tmp_path, workers=2)
    left = [p for p in psutil.Process(os.getpid()).children(recursive=True) if p.pid not in before]
    assert [p for p in left if "resource_tracker" not in " ".join(p.cmdline())] == []


def test_a_shared_store_cannot_have_a_worker_call_anything(store):
    entered(store, squares(1))
    Worker(Assignment(store.database.url, allow=frozenset({"robustq"}))).work()
    assert "expected names of robustq only, got 'works:square'" in store.failures("run")[0].error
