"""The store: the queue of units and the memory of their results, in one database.

A unit may be begun more than once, for a worker can die; its result counts once, for results are named by what
decides them and the first one written stays. A second result with other bytes is kept beside it: the
computation was not deterministic, and that is a red flag, not a merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, case, delete, func, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite

from robustq.errors import RunError
from robustq.runs import tables as t
from robustq.runs.database import Database
from robustq.runs.payloads import Payloads, digest, payloads_of, write_files
from robustq.runs.unit import Unit, Workspace, canonical, function_at, hashed

LOSSES = 10  # deaths at one unit after which it is the unit that is at fault
CHUNK = 500  # rows a statement


@dataclass(frozen=True)
class Task:
    """A unit as a worker gets it."""

    id: str
    function: str
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str]
    name: str | None = None  # of its folder in the run, if it was asked for as part of one

    def do(self, workspace: Workspace) -> None:
        """Call the function."""
        function_at(self.function)(workspace, **self.arguments)


@dataclass(frozen=True)
class Outcome:
    """A unit's files.

    Attributes:
        unit: its id.
        manifest: file -> SHA-256 of its content, of the files that every repetition must give alike.
        notes: the same of wall times, which differ.
        seconds: what it took.
    """

    unit: str
    manifest: Mapping[str, str]
    notes: Mapping[str, str]
    seconds: float

    @property
    def sha256(self) -> str:
        """Of the whole."""
        return hashed(canonical(self.manifest))


@dataclass(frozen=True)
class Failure:
    """A unit that failed, as it told why."""

    unit: str
    label: str
    error: str


def unit_id(unit: Unit, environment: str) -> str:
    """SHA-256 of all that decides the bytes of a unit's result.

    >>> unit_id(Unit("m:f", {}, "a", ""), "x") == unit_id(Unit("m:f", {}, "b", "other words"), "x")
    True
    """
    return hashed(canonical({"environment": environment, "unit": unit.content}))


@dataclass(frozen=True)
class Store:
    """A queue and a memory; safe to use from many threads, processes and machines at once."""

    database: Database

    @staticmethod
    def open(url: str, *, create: bool = True, patience: float = 300.0) -> Store:
        """The store at a URL (or the path of a SQLite file), its tables made if there are none.

        Raises:
            RunError: if it cannot be reached, is of another version, or is missing and not to be created.
        """
        if "://" not in url:
            url = f"sqlite:///{Path(url).absolute()}"
        database = Database(url, patience=patience)
        if database.is_sqlite:
            if not create and not database.path.is_file():
                raise RunError(f"expected a store, but there is no {database.path}")
            database.path.parent.mkdir(parents=True, exist_ok=True)
        brief = Database(url, patience=3.0)
        if not create and not brief.transact(lambda c: inspect(c).has_table(t.properties.name)):
            raise RunError(f"expected a store, but {database.shown} holds none")
        brief.transact(_prepare)
        return Store(database)

    @cached_property
    def payloads(self) -> Payloads:
        """Where its files are."""
        return payloads_of(self.database)

    def add(self, run: str, units: Sequence[Unit], environment: str, *, command: str = "", folder: str = "") -> None:
        """Enter units of a run; those that are there already, done or not, stay as they are.

        What had failed is to be tried again.
        """
        rows = [_row(unit, environment) for unit in units]
        named = [
            {"run": run, "unit": row["id"], "name": unit.name, "label": unit.label}
            for unit, row in zip(units, rows, strict=True)
        ]

        def work(c: Connection) -> None:
            insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
            known = {"name": run, "command": command, "folder": folder, "began": self.database.now(c)}
            moved = {"command": command, "folder": folder}
            c.execute(insert(t.runs).on_conflict_do_update(index_elements=["name"], set_=moved), [known])
            for part in _chunks(rows):
                c.execute(insert(t.units).on_conflict_do_nothing(index_elements=["id"]), part)
            for part in _chunks(named):
                c.execute(insert(t.members).on_conflict_do_nothing(), part)
            again = {"state": t.WAITING, "attempts": 0, "losses": 0, "error": None}
            failed = (t.units.c.state == t.FAILED) & _of(run)
            c.execute(update(t.units).where(failed).values(again))

        self.database.transact(work)

    def lease(
        self,
        owner: str,
        environment: str,
        *,
        run: str | None = None,
        tags: frozenset[str] = frozenset(),
        limit: int = 1,
        seconds: float = 60.0,
    ) -> list[Task]:
        """The next units for a worker, which are its own for so many seconds.

        Args:
            owner: the worker.
            environment: its own; units of another are not for it.
            run: of this run only.
            tags: the hardware it has.
            limit: how many at most; fewer where others would be left with nothing.
            seconds: after which they are given to another, unless :meth:`renew` is called.
        """
        repeated = False

        def work(c: Connection) -> list[Task]:
            nonlocal repeated
            if repeated:  # the answer may be lost of what was lent: nobody would ever do it
                _give_back(c, _leased_by(owner), died=False)
            repeated = True
            now = self.database.now(c)
            _expire(c, now)
            wanted = _waiting(environment, run, tags)
            share = self._share(c, wanted, owner) if limit > 1 else 1
            query = wanted.order_by(t.units.c.number).limit(min(limit, share))
            found = c.execute(query.with_for_update(skip_locked=True)).all()
            lent = {"state": t.LEASED, "owner": owner, "lease_ends": now + seconds, "started": False}
            for part in _chunks([row.id for row in found]):
                c.execute(update(t.units).where(t.units.c.id.in_(part)).values(lent))
            return [Task(r.id, r.function, json.loads(r.arguments), json.loads(r.inputs), r.name) for r in found]

        return self.database.transact(work)

    def _share(self, c: Connection, wanted: Select[Any], owner: str) -> int:
        """Half of an even share of what waits, so that the last units are spread over all workers."""
        left = c.execute(select(func.count()).select_from(wanted.limit(100_000).subquery())).scalar_one()
        busy = select(func.count(t.units.c.owner.distinct())).where(
            t.units.c.state == t.LEASED, t.units.c.owner != owner
        )
        return max(1, left // (2 * (1 + c.execute(busy).scalar_one())))

    def start(self, unit: str, owner: str) -> None:
        """Mark the unit a worker is at: if the worker dies, it is this one that it died at."""
        mine = (t.units.c.id == unit) & (t.units.c.owner == owner)
        self._write(update(t.units).where(mine).values(started=True))

    def renew(self, owner: str, seconds: float) -> None:
        """Prolong all leases of a worker that is alive."""

        def work(c: Connection) -> None:
            c.execute(update(t.units).where(_leased_by(owner)).values(lease_ends=self.database.now(c) + seconds))

        self.database.transact(work)

    def release(self, owner: str, *, died: bool = True) -> None:
        """Give back what a worker had leased; its death counts against the unit it was at, not as an attempt."""
        self.database.transact(lambda c: _give_back(c, _leased_by(owner), died=died))

    def take_over(self, run: str, environment: str) -> None:
        """Begin again where nobody else works: leases are void, and what older code left undone is no more wanted."""
        stale = select(t.units.c.id).where(t.units.c.environment != environment, t.units.c.state != t.DONE)

        def work(c: Connection) -> None:
            _give_back(c, t.units.c.state == t.LEASED, died=False)
            c.execute(delete(t.members).where(t.members.c.run == run, t.members.c.unit.in_(stale)))

        self.database.transact(work)

    def finish(self, owner: str, outcomes: Sequence[Outcome]) -> None:
        """Hand in results whose payloads are kept already. The first result of a unit is its result.

        Results of units that the store does not know (any more) are dropped.
        """

        def work(c: Connection) -> None:
            ids = sorted(outcome.unit for outcome in outcomes)
            now = self.database.now(c)
            known: dict[str, str | None] = {}
            for part in _chunks(ids):
                rows = select(t.units.c.id, t.units.c.result).where(t.units.c.id.in_(part)).order_by(t.units.c.id)
                known.update({row.id: row.result for row in c.execute(rows.with_for_update())})
            wanted = [o for o in outcomes if o.unit in known]
            new = [o for o in wanted if known[o.unit] is None]
            again = [{"u": o.unit, "n": canonical(o.notes)} for o in wanted if known[o.unit] == o.sha256]
            others = [o for o in wanted if known[o.unit] not in (None, o.sha256)]
            insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
            handed_in = [_result(o, owner, first=True) for o in new] + [
                _result(o, owner, first=False) for o in others
            ]
            if handed_in:
                c.execute(insert(t.results).on_conflict_do_nothing(), handed_in)
            if again:  # done once more, because files were lost: the wall times are those of the files that are there
                c.execute(_NOTES, again)
            if wanted:
                c.execute(_FINISH, [_finished(o, now) for o in wanted])

        self.database.transact(work)

    def fail(self, unit: str, owner: str, error: str, *, retries: int = 0) -> None:
        """Note an error of the unit's own; after ``retries`` more attempts the unit has failed."""
        mine = (t.units.c.id == unit) & _leased_by(owner)
        spent = t.units.c.attempts >= retries
        values = {
            "attempts": t.units.c.attempts + 1,
            "error": error,
            "owner": None,
            "started": False,
            "state": case((spent, t.FAILED), else_=t.WAITING),
        }
        self._write(update(t.units).where(mine).values(values))

    def counts(self, run: str, environment: str) -> dict[str, int]:
        """How many units of a run are in which state."""
        query = (
            select(t.units.c.state, func.count())
            .where(_of(run), t.units.c.environment == environment)
            .group_by(t.units.c.state)
        )
        return {row[0]: row[1] for row in self._rows(query)}

    def finished(self, run: str, since: float = 0.0, environment: str | None = None) -> list[tuple[str, str, float]]:
        """Units of a run with a result, in the order in which they got it: id, label, the database's time."""
        query = (
            select(t.units.c.id, t.members.c.label, t.units.c.finished)
            .join(t.members, t.members.c.unit == t.units.c.id)
            .where(t.members.c.run == run, t.units.c.state == t.DONE, t.units.c.finished >= since)
            .order_by(t.units.c.finished)
        )
        if environment is not None:
            query = query.where(t.units.c.environment == environment)
        return [(row[0], row[1], row[2]) for row in self._rows(query)]

    def rate(self, run: str, *, over: float = 600.0) -> float:
        """Units an hour over the last minutes in which any was finished."""
        times = [finished for _, _, finished in self.finished(run)]
        recent = [moment for moment in times if moment >= max(times) - over]
        span = max(recent) - min(recent) if recent else 0.0
        return round(3600 * (len(recent) - 1) / span, 1) if span > 0 else 0.0

    def strangers(self, environment: str) -> int:
        """How many units wait for another version of the code or of the kernel."""
        query = select(func.count()).where(t.units.c.state == t.WAITING, t.units.c.environment != environment)
        return int(self._rows(query)[0][0])

    def failures(self, run: str, environment: str | None = None) -> list[Failure]:
        """Units of a run that have failed."""
        query = (
            select(t.units.c.id, t.members.c.label, t.units.c.error)
            .join(t.members, t.members.c.unit == t.units.c.id)
            .where(t.members.c.run == run, t.units.c.state == t.FAILED)
            .order_by(t.units.c.number)
        )
        if environment is not None:
            query = query.where(t.units.c.environment == environment)
        return [Failure(*row) for row in self._rows(query)]

    def manifests(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """The files of done units, wall times included, by unit: file -> SHA-256."""
        wanted, kept = list(ids), {}
        for part in _chunks(wanted):
            query = select(t.results.c.unit, t.results.c.manifest, t.results.c.notes).where(
                t.results.c.unit.in_(part), t.results.c.first
            )
            for row in self._rows(query):
                kept[row.unit] = {**json.loads(row.manifest), **json.loads(row.notes)}
        return kept

    def write(self, unit: str, folder: Path) -> None:
        """Lay a done unit's files into a folder; those that are there and whole stay.

        Raises:
            RunError: if the unit is not done, or a content is missing or damaged.
        """
        manifest = self.manifests([unit]).get(unit)
        if manifest is None:
            raise RunError(f"expected a result of unit {unit[:12]}, but it is not done")
        write_files(self.payloads, manifest, folder)

    def forget(self, units: Iterable[str]) -> None:
        """Have units done again whose payloads are lost; what they gave stays on record, to be compared with."""
        again = {"state": t.WAITING, "owner": None}
        for part in _chunks(list(units)):
            self._write(update(t.units).where(t.units.c.id.in_(part), t.units.c.state == t.DONE).values(again))

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        return self.database.transact(lambda c: c.execute(query).all())

    def _write(self, statement: Update) -> None:
        self.database.transact(lambda c: c.execute(statement))

    def conflicts(self, run: str | None = None) -> list[tuple[str, str]]:
        """Units with two different results: their label and id. There must be none."""
        of_run = t.members.c.run == run if run is not None else t.members.c.run.is_not(None)
        query = (
            select(t.members.c.label, t.results.c.unit)
            .join(t.members, t.members.c.unit == t.results.c.unit)
            .where(~t.results.c.first, of_run)
            .distinct()
        )
        return [(row[0], row[1]) for row in self._rows(query)]

    def keep(self, folder: Path, unit: str, seconds: float) -> Outcome:
        """Keep what a unit left in its folder: hidden files are not part of it, ``timing.json`` may differ."""
        contents = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        hashes = {name: digest(content) for name, content in contents.items()}
        self.payloads.put({hashes[name]: content for name, content in contents.items()})
        notes = {name: sha256 for name, sha256 in hashes.items() if Path(name).name == "timing.json"}
        return Outcome(unit, {n: h for n, h in hashes.items() if n not in notes}, notes, seconds)


def _prepare(c: Connection) -> None:
    t.META.create_all(c)
    found = c.execute(select(t.properties.c.value).where(t.properties.c.key == "schema")).scalar()
    if found is None:
        insert = postgresql.insert if c.dialect.name == "postgresql" else sqlite.insert
        c.execute(insert(t.properties).on_conflict_do_nothing(), [{"key": "schema", "value": str(t.SCHEMA)}])
    elif found != str(t.SCHEMA):
        raise RunError(f"expected a store of version {t.SCHEMA}, got version {found}; use the robustq that made it")


def _row(unit: Unit, environment: str) -> dict[str, Any]:
    return {
        "id": unit_id(unit, environment),
        "function": unit.function,
        "arguments": canonical(unit.arguments),
        "inputs": canonical({other.name: unit_id(other, environment) for other in unit.inputs}),
        "needs": canonical(sorted(unit.needs)),
        "environment": environment,
        "state": t.WAITING,
    }


def _result(outcome: Outcome, owner: str, *, first: bool) -> dict[str, Any]:
    return {
        "unit": outcome.unit,
        "sha256": outcome.sha256,
        "manifest": canonical(outcome.manifest),
        "notes": canonical(outcome.notes),
        "owner": owner,
        "first": first,
    }


def _finished(outcome: Outcome, now: float) -> dict[str, Any]:
    return {"u": outcome.unit, "r": outcome.sha256, "s": outcome.seconds, "f": now}


_FINISH = (
    update(t.units)
    .where(t.units.c.id == bindparam("u"))
    .values(
        state=t.DONE,
        result=func.coalesce(t.units.c.result, bindparam("r")),
        seconds=bindparam("s"),
        finished=bindparam("f"),
        owner=None,
        error=None,
        started=False,
    )
)

_NOTES = update(t.results).where(t.results.c.unit == bindparam("u"), t.results.c.first).values(notes=bindparam("n"))


def _of(run: str) -> Any:
    """Units that belong to a run."""
    return select(t.members.c.unit).where(t.members.c.unit == t.units.c.id, t.members.c.run == run).exists()


def _waiting(environment: str, run: str | None, tags: frozenset[str]) -> Select[Any]:
    """Units that wait for a worker with these tags."""
    able = [canonical(sorted(s)) for size in range(len(tags) + 1) for s in combinations(tags, size)]
    name = select(t.members.c.name).where(t.members.c.unit == t.units.c.id, t.members.c.run == run).scalar_subquery()
    columns = (t.units.c.id, t.units.c.function, t.units.c.arguments, t.units.c.inputs, name.label("name"))
    query = select(*columns).where(
        t.units.c.state == t.WAITING, t.units.c.environment == environment, t.units.c.needs.in_(able)
    )
    return query if run is None else query.where(_of(run))


def _leased_by(owner: str) -> Any:
    """Units that a worker holds."""
    return (t.units.c.owner == owner) & (t.units.c.state == t.LEASED)


def _expire(c: Connection, now: float) -> None:
    """Void the leases of workers that were not heard of."""
    _give_back(c, (t.units.c.state == t.LEASED) & (t.units.c.lease_ends < now), died=True)


def _give_back(c: Connection, which: Any, *, died: bool) -> None:
    losses = t.units.c.losses + case((t.units.c.started, 1), else_=0) if died else t.units.c.losses
    spent = losses >= LOSSES
    values = {
        "owner": None,
        "started": False,
        "losses": losses,
        "state": case((spent, t.FAILED), else_=t.WAITING),
        "error": case(
            (spent, f"its worker died {LOSSES} times (killed, or out of memory); try fewer --workers"),
            else_=t.units.c.error,
        ),
    }
    c.execute(update(t.units).where(which).values(values))


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
