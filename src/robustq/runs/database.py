"""Connections to a store's database: SQLite for one machine, PostgreSQL for many, and failures in one sentence."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from robustq.errors import RunError

T = TypeVar("T")
NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "afs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
}
BUSY = 60.0  # seconds to wait for another writer of a SQLite file
# Seconds after which a server that fell silent in mid-sentence counts as lost, where TCP alone would wait for hours.
PATIENT = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@dataclass(frozen=True)
class Database:
    """One database, by its URL.

    Attributes:
        url: ``sqlite:////path/to/file`` or ``postgresql://user@host/name``.
        patience: seconds for which a lost connection is tried again before giving up.
    """

    url: str
    patience: float = 300.0
    _random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    @cached_property
    def _parsed(self) -> URL:
        scheme, _, rest = self.url.partition(":///")
        if scheme == "sqlite" and rest not in ("", ":memory:"):
            return URL.create("sqlite", database=rest)  # a path as it is: its ? and % mean nothing
        try:
            url = make_url(self.url)
        except (ArgumentError, ValueError):
            hidden = re.sub(r"(:[^:@]*)@", ":***@", self.url)
            raise RunError(
                f"expected a store's URL such as sqlite:///store.sqlite or postgresql://host/name, got {hidden!r}"
            ) from None
        if url.get_backend_name() == "sqlite":
            raise RunError(f"expected a file for SQLite, such as sqlite:///store.sqlite, got {self.url!r}")
        if url.get_backend_name() != "postgresql":
            raise RunError(f"expected a store on sqlite or postgresql, got {url.get_backend_name()!r}")
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        return url

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on this machine."""
        return self._parsed.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self._parsed.database or "")

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self._parsed.render_as_string(hide_password=True)

    @cached_property
    def engine(self) -> Engine:
        """Made on first use. Nothing stays connected between transactions, so nothing is left to close or to break.

        Raises:
            RunError: if a driver is missing, or a SQLite file would lie on a network file system.
        """
        if not self.is_sqlite:
            try:
                return create_engine(self._parsed, poolclass=NullPool, connect_args=PATIENT)
            except (ImportError, NoSuchModuleError):
                raise RunError("expected psycopg for a PostgreSQL store: pip install 'robustq[postgres]'") from None
        kind = file_system(self.path)
        if kind in NETWORK:
            raise RunError(
                f"{self.path}: expected a local disk for SQLite, whose locks do not hold on {kind}; choose another "
                "--out, or --store postgresql://..."
            )
        engine = create_engine(self._parsed, poolclass=NullPool, connect_args={"timeout": BUSY})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediately)
        return engine

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in one transaction; a lost connection is tried again, so work must bear repetition.

        Raises:
            RunError: if the database cannot be reached for ``patience`` seconds, or refuses.
        """
        deadline, pause = time.monotonic() + self.patience, 0.05
        while True:
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as failure:
                lost = failure.connection_invalidated or isinstance(failure, OperationalError)
                if not lost or self._is_final(failure) or time.monotonic() > deadline:
                    raise RunError(f"store {self.shown}: {_sentence(failure)}") from failure
            time.sleep(pause * self._random.uniform(0.5, 1.5))
            pause = min(2 * pause, 5.0)

    def _is_final(self, failure: DBAPIError) -> bool:
        """Whether waiting is of no use: a full disk, a file that is no database, a wrong password."""
        text = str(failure.orig).lower()
        if self.is_sqlite:
            return "locked" not in text and "busy" not in text
        return any(word in text for word in ("password", "does not exist", "no space", "role", "authentication"))

    def now(self, connection: Connection) -> float:
        """The database's clock in seconds: the machines' own may disagree."""
        if self.is_sqlite:
            return time.time()
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own transactions would begin too late to be safe
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _sentence(failure: DBAPIError) -> str:
    """The driver's first line."""
    lines = str(failure.orig).strip().splitlines()
    return lines[0] if lines else type(failure.orig).__name__


def file_system(path: Path) -> str:
    """The type of the file system a path lies on, as Linux calls it; empty where that is not known.

    >>> file_system(Path("/proc/self"))
    'proc'
    """
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    places = [str(path.absolute()), *map(str, path.absolute().parents)]
    kinds = {place.replace("\\040", " "): kind for place, kind in mounts}
    return next((kinds[place] for place in places if place in kinds), "")
