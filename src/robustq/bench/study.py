"""What the four studies share: a specification completed by its data, and one way to carry it out in a folder."""

from __future__ import annotations

import fcntl
import json
import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from robustq.atomic import write_atomically
from robustq.bench.estimates import StudyRecord
from robustq.bench.outside import outsiders, packages
from robustq.bench.records import FILES, read_record, versions
from robustq.bench.spec import Specification
from robustq.data import Dataset
from robustq.errors import RunError
from robustq.outsiders import provenance
from robustq.runs import Compute, Identity, Progress, Unit, canonical, execute

SPECIFICATION = "spec.json"  # what a run folder was started with

OUTSIDERS = "outsiders"  # in a unit's specification: the sources of what is not ours decide its result too

R = TypeVar("R", bound=StudyRecord)
R_co = TypeVar("R_co", bound=StudyRecord, covariant=True)
S = TypeVar("S", bound=Specification)


class Study(Protocol[R_co]):
    """One kind of run, with all that it needs to know before it begins."""

    @property
    def spec(self) -> Specification:
        """What to study, every choice written out."""
        ...

    @property
    def kind(self) -> type[R_co]:
        """The type of its record, which names the command and the file."""
        ...

    def check(self) -> None:
        """Refuse, before any work, what cannot be run."""
        ...

    @property
    def total(self) -> int:
        """How many units are expected."""
        ...

    def rounds(self, run: Path) -> Iterable[list[Unit]]:
        """The work; a round may depend on what those before it left in the folder."""
        ...

    def record(self, run: Path) -> R_co:
        """What the finished units say together."""
        ...

    def publish(self, run: Path, seconds: float) -> None:
        """Whatever a reader wants besides the record; ``seconds`` is how long the work took."""
        ...


def perform(
    study: Study[R],
    run: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> R:
    """Carry a study out in the folder ``run`` and return its record.

    Everything that can be wrong is checked before the folder is touched. Killed and called again in the same folder
    it continues; one seed gives the same bytes, whatever the number of workers.

    Args:
        study: what to do.
        run: the run folder, created if needed; must be empty or belong to this study.
        workers: processes of one thread each; the number of cores by default, 0 for the calling one.
        progress: told after every unit.
        compute: with what else than processes on this machine, and over which store.

    Raises:
        SpecError: if something does not apply, which is tried out first.
        RunError: if the folder belongs to something else, or workers died.
    """
    study.check()
    chosen = compute or Compute(workers)
    with claimed(run, study.spec, study.kind.command):
        began = time.monotonic()
        execute(
            study.rounds(run),
            run,
            total=study.total,
            progress=progress,
            compute=replace(chosen, allow=chosen.allow | frozenset(packages(study.spec))),
            identity=identity_of(study, run),
        )
        record = study.record(run)
        study.publish(run, time.monotonic() - began)
        write_atomically(run / FILES[study.kind.command], record.to_bytes())
    return read_record(run, study.kind)


def identity_of(study: Study[R], run: Path) -> Identity:
    """The run's name in a store that several share, and the command that continues it."""
    name = f"{study.kind.command}-{study.spec.data.name}-{study.spec.content_id[:12]}"
    place = run.absolute()
    return Identity(
        name, shlex.join(["robustq", study.kind.command, str(place / SPECIFICATION), "--out", str(place)])
    )


@contextmanager
def claimed(run: Path, spec: Specification, command: str) -> Iterator[None]:
    """Hold the folder for this process, this command and this specification, of which the seeds may have grown."""
    content = {"command": command, "spec": spec.model_dump(mode="json"), "versions": versions(*outsiders(spec))}
    mine = (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
    path = run / SPECIFICATION
    if path.is_file():
        if path.read_bytes() != mine and not _has_more_seeds(content, path):
            raise RunError(
                f"{run}: expected the specification and the versions this folder was started with (its spec.json; "
                "only the number of seeds may grow), got others; choose a new --out"
            )
    elif run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise RunError(f"{run}: expected a new folder or one of ours, got something else")
    run.mkdir(parents=True, exist_ok=True)
    with open(run / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            raise RunError(f"{run}: another process is working in this folder") from failure
        if not path.exists() or path.read_bytes() != mine:
            write_atomically(path, mine)
        yield


def _has_more_seeds(content: dict[str, Any], path: Path) -> bool:
    """Whether a run goes beyond the one its folder was started with, and is otherwise the same."""
    try:
        before = json.loads(path.read_bytes())
        fewer = before["spec"].pop("seeds")
    except (ValueError, LookupError, AttributeError):
        return False
    now = json.loads(canonical(content))
    return bool(now["spec"].pop("seeds") > fewer and now == before)


def plain(spec: Specification) -> dict[str, Any]:
    """A specification as an argument of units, without what no unit reads: more seeds leave the old ones done."""
    content: dict[str, Any] = spec.model_dump(mode="json", exclude={"title", "seeds", "confidence"})
    sources = {name: provenance(name) for name in outsiders(spec)}
    return content | ({OUTSIDERS: sources} if sources else {})


def understood(kind: type[S], content: dict[str, Any]) -> tuple[S, Dataset]:
    """The inverse of :func:`plain`, with the data: loaded once for all units that a process does."""
    return _understood(kind, canonical({name: value for name, value in content.items() if name != OUTSIDERS}))


@lru_cache(maxsize=2)
def _understood(kind: type[S], text: str) -> tuple[S, Dataset]:
    spec = kind.model_validate_json(text)
    return spec, spec.dataset()
