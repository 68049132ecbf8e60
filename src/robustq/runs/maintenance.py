"""Looking after a store: what is in it, whether it is whole, what may go, and another's results taken in."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, select

from robustq.atomic import write_atomically
from robustq.errors import RunError
from robustq.runs import tables as t
from robustq.runs.store import Outcome, Store

COLUMNS = (
    "id",
    "function",
    "arguments",
    "environment",
    "state",
    "attempts",
    "losses",
    "error",
    "result",
    "seconds",
    "finished",
)


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        name: in the store.
        command: how to continue it.
        folder: its run folder.
        began: when, in seconds since 1970.
        units: by state.
        workers: those who hold its units now.
    """

    name: str
    command: str
    folder: str
    began: float
    units: dict[str, int]
    workers: list[str]

    @property
    def finished(self) -> bool:
        """Whether all its units are done."""
        return set(self.units) <= {t.DONE}


def run_states(store: Store) -> list[RunState]:
    """Every run that the store knows, the latest first."""
    per_state = (
        select(t.members.c.run, t.units.c.state, func.count())
        .join(t.members, t.members.c.unit == t.units.c.id)
        .group_by(t.members.c.run, t.units.c.state)
    )
    at_work = (
        select(t.members.c.run, t.units.c.owner)
        .join(t.members, t.members.c.unit == t.units.c.id)
        .where(t.units.c.state == t.LEASED)
        .distinct()
    )

    def read(c: Connection) -> list[RunState]:
        counts: dict[str, dict[str, int]] = {}
        for run, state, count in c.execute(per_state):
            counts.setdefault(run, {})[state] = count
        workers: dict[str, list[str]] = {}
        for run, owner in c.execute(at_work):
            workers.setdefault(run, []).append(owner)
        rows = c.execute(select(t.runs).order_by(t.runs.c.began.desc())).all()
        return [
            RunState(r.name, r.command, r.folder, r.began, counts.get(r.name, {}), sorted(workers.get(r.name, [])))
            for r in rows
        ]

    return store.database.transact(read)


@dataclass(frozen=True)
class Health:
    """What :func:`check` found.

    Attributes:
        results: how many were looked at.
        conflicts: label and id of units with two different results.
        lost: ids of done units whose files are missing or damaged.
    """

    results: int
    conflicts: list[tuple[str, str]]
    lost: list[str]

    @property
    def is_sound(self) -> bool:
        """Nothing differs and nothing is lost."""
        return not self.conflicts and not self.lost


def check(store: Store) -> Health:
    """Read every file of every result and compare it with its hash."""
    manifests = store.manifests(_done(store))
    kept: dict[str, bool] = {}
    for sha256 in {name for manifest in manifests.values() for name in manifest.values()}:
        kept[sha256] = store.payloads.get(sha256) is not None
    lost = [unit for unit, manifest in manifests.items() if not all(kept[h] for h in manifest.values())]
    return Health(len(manifests), store.conflicts(), sorted(lost))


def _done(store: Store) -> list[str]:
    query = select(t.units.c.id).where(t.units.c.state == t.DONE).order_by(t.units.c.number)
    return list(store.database.transact(lambda c: c.execute(query).scalars().all()))


def collect_garbage(store: Store, *, environment: str | None = None) -> tuple[int, int]:
    """Forget what no run needs: payloads that no result names and, if one is given, units of other environments.

    Returns:
        how many units and how many payloads went.

    Raises:
        RunError: if somebody is at work, whose files no result names yet.
    """
    leased = select(func.count()).where(t.units.c.state == t.LEASED)
    at_work = leased.where(t.units.c.lease_ends >= store.database.transact(store.database.now))
    if store.database.transact(lambda c: c.execute(at_work).scalar_one()):
        raise RunError(f"{store.database.shown}: expected a store at which nobody works, but units are leased")

    def work(c: Connection) -> int:
        if environment is None:
            return 0
        old = select(t.units.c.id).where(t.units.c.environment != environment, t.units.c.state != t.LEASED)
        gone = list(c.execute(old).scalars().all())
        for start in range(0, len(gone), 500):
            part = gone[start : start + 500]
            c.execute(delete(t.members).where(t.members.c.unit.in_(part)))
            c.execute(delete(t.results).where(t.results.c.unit.in_(part)))
            c.execute(delete(t.units).where(t.units.c.id.in_(part)))
        return len(gone)

    units = store.database.transact(work)
    query = select(t.results.c.manifest, t.results.c.notes)
    rows = store.database.transact(lambda c: c.execute(query).all())
    named = {sha256 for row in rows for text in row for sha256 in json.loads(text).values()}
    spare = store.payloads.names() - named
    store.payloads.drop(spare)
    return units, len(spare)


def absorb(store: Store, other: Store) -> tuple[int, list[str]]:
    """Take in another store's results: set union, never a sum. A different result of the same unit is a conflict.

    Returns:
        how many units are new here, and the ids of those whose results differ.
    """
    before = set(_done(store))
    rows = other.database.transact(
        lambda c: c.execute(select(t.units).where(t.units.c.state == t.DONE)).mappings().all()
    )
    known = set(store.database.transact(lambda c: c.execute(select(t.units.c.id)).scalars().all()))
    fresh = [{k: v for k, v in row.items() if k != "number"} | _UNDONE for row in rows if row["id"] not in known]
    results = other.database.transact(lambda c: c.execute(select(t.results)).all())
    for row in results:
        contents: dict[str, bytes] = {}
        for sha256 in (*json.loads(row.manifest).values(), *json.loads(row.notes).values()):
            content = other.payloads.get(sha256)
            if content is None and row.first:
                raise RunError(
                    f"{other.database.shown}: unit {row.unit[:12]}: a file is missing or damaged; nothing taken in"
                )
            contents |= {} if content is None else {sha256: content}
        store.payloads.put(contents)
    if fresh:
        store.database.transact(lambda c: c.execute(t.units.insert(), fresh))
    _absorb_runs(store, other)
    seconds = {row["id"]: row["seconds"] or 0.0 for row in rows}
    first_ones = sorted(results, key=lambda row: not row.first)
    for row in first_ones:
        outcome = Outcome(row.unit, json.loads(row.manifest), json.loads(row.notes), seconds.get(row.unit, 0.0))
        store.finish(row.owner, [outcome])
    differing = {unit for _, unit in store.conflicts()}
    return len(set(_done(store)) - before), sorted(differing)


_UNDONE = {
    "state": t.WAITING,
    "owner": None,
    "lease_ends": None,
    "started": False,
    "error": None,
    "result": None,
    "attempts": 0,
    "losses": 0,
}


def _absorb_runs(store: Store, other: Store) -> None:
    """Which runs the units belong to; names that are taken stay whose they are, what is not done stays away."""
    known = set(store.database.transact(lambda c: c.execute(select(t.units.c.id)).scalars().all()))
    for table, keys in ((t.runs, ("name",)), (t.members, ("run", "unit"))):
        theirs = other.database.transact(lambda c, table=table: c.execute(select(table)).mappings().all())  # type: ignore[misc]
        ours = store.database.transact(lambda c, table=table: c.execute(select(table)).mappings().all())  # type: ignore[misc]
        taken = {tuple(row[key] for key in keys) for row in ours}
        new: list[dict[str, Any]] = [dict(row) for row in theirs if tuple(row[key] for key in keys) not in taken]
        new = [row for row in new if row.get("unit") is None or row["unit"] in known]
        if new:
            store.database.transact(lambda c, table=table, new=new: c.execute(table.insert(), new))  # type: ignore[misc]


def export(store: Store, path: Path) -> int:
    """One row a unit, as Parquet (``robustq[parquet]``) or CSV by the file's ending; how many rows."""
    if path.suffix not in (".parquet", ".csv"):
        raise RunError(f"expected a file that ends in .parquet or .csv, got {path.name}")
    columns = [t.units.c[name] for name in COLUMNS]
    rows = store.database.transact(lambda c: c.execute(select(*columns).order_by(t.units.c.number)).mappings().all())
    plain = [dict(row) for row in rows]
    write_atomically(path, _parquet(plain) if path.suffix == ".parquet" else _csv(plain))
    return len(plain)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise RunError("expected pyarrow for Parquet: pip install 'robustq[parquet]', or export a .csv") from None
    sink = io.BytesIO()
    parquet.write_table(pa.table({name: [row[name] for row in rows] for name in COLUMNS}), sink)
    return sink.getvalue()
