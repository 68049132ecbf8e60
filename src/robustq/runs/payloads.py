"""The files of results, named by their content: in a folder beside a SQLite file, in a table of PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from robustq.atomic import write_atomically
from robustq.errors import RunError
from robustq.runs import tables as t
from robustq.runs.database import Database


class Payloads(Protocol):
    """Content by its SHA-256."""

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Keep contents, by their hashes."""
        ...

    def get(self, sha256: str) -> bytes | None:
        """What has this hash; None if it is missing or damaged."""
        ...

    def mend(self, sha256: str, content: bytes) -> None:
        """Whole content was met elsewhere: put it in the place of what is damaged or gone."""
        ...

    def names(self) -> set[str]:
        """Every hash that is kept."""
        ...

    def drop(self, names: Iterable[str]) -> None:
        """Forget contents."""
        ...


@dataclass(frozen=True)
class FolderPayloads:
    """Files ``ab/abcd...`` of a folder."""

    folder: Path

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Write those that are not there whole, each whole or not at all."""
        for sha256, content in contents.items():
            path = self._path(sha256)
            if self.get(sha256) is not None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)

    def get(self, sha256: str) -> bytes | None:
        """A file's content, if it still has its hash."""
        try:
            content = self._path(sha256).read_bytes()
        except OSError:
            return None
        return content if digest(content) == sha256 else None

    def mend(self, sha256: str, content: bytes) -> None:
        """Put it back, if its file is damaged or gone."""
        self.put({sha256: content})

    def names(self) -> set[str]:
        """Every whole file."""
        return {path.name for path in self.folder.glob("??/*") if len(path.name) == 64}

    def drop(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            self._path(name).unlink(missing_ok=True)


@dataclass(frozen=True)
class TablePayloads:
    """Rows of a table, so that workers of other machines need nothing but the database."""

    database: Database

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Insert those that are not there."""
        rows = [{"sha256": name, "content": content} for name, content in contents.items()]
        if rows:
            statement = insert(t.payloads).on_conflict_do_nothing()
            self.database.transact(lambda c: c.execute(statement, rows))

    def get(self, sha256: str) -> bytes | None:
        """A row's content, if it still has its hash."""
        query = select(t.payloads.c.content).where(t.payloads.c.sha256 == sha256)
        content = self.database.transact(lambda c: c.execute(query).scalar())
        return content if content is not None and digest(content) == sha256 else None

    def mend(self, sha256: str, content: bytes) -> None:
        """A database looks after its rows; to send every file again for nothing would be dear."""

    def names(self) -> set[str]:
        """Every row's hash."""
        return set(self.database.transact(lambda c: c.execute(select(t.payloads.c.sha256)).scalars().all()))

    def drop(self, names: Iterable[str]) -> None:
        """Delete rows."""
        statement = delete(t.payloads).where(t.payloads.c.sha256.in_(list(names)))
        self.database.transact(lambda c: c.execute(statement))


def payloads_of(database: Database) -> Payloads:
    """Where a store keeps its files."""
    if not database.is_sqlite:
        return TablePayloads(database)
    stem = database.path.stem  # two stores in one folder must not tidy each other's files away
    return FolderPayloads(database.path.parent / ("payloads" if stem == "store" else f"{stem}-payloads"))


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def inside(folder: Path, name: str) -> Path:
    """The place of a name within a folder: who can write to a shared store must not write elsewhere on this disk.

    >>> inside(Path("run"), "../secret")
    Traceback (most recent call last):
        ...
    robustq.errors.RunError: expected a name within its folder, got '../secret'
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise RunError(f"expected a name within its folder, got {name!r}")
    return folder / name


def write_files(kept: Payloads, manifest: Mapping[str, str], folder: Path) -> None:
    """Lay the files of a manifest into a folder; what is there already and whole is left alone, and mends ``kept``.

    Raises:
        RunError: if a content is missing or damaged.
    """
    for name, sha256 in manifest.items():
        path = inside(folder, name)
        if path.is_file() and digest(found := path.read_bytes()) == sha256:
            kept.mend(sha256, found)
            continue
        content = kept.get(sha256)
        if content is None:
            raise RunError(f"{path}: its content {sha256[:12]} is missing from the store, or damaged")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
