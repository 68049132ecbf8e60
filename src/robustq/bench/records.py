"""What the records of all studies have in common: how they begin, where they are kept, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from robustq import runs
from robustq.bench.estimates import StudyRecord
from robustq.bench.outside import outsiders
from robustq.bench.spec import Specification
from robustq.data import Dataset
from robustq.errors import RunError
from robustq.outsiders import is_outside, provenance

# What each command leaves in its run folder: the record, and the page made of it.
FILES: Mapping[str, str] = {
    "assess": "results.json",
    "defend": "defences.json",
    "transfer": "transfer.json",
    "codesign": "codesign.json",
}
PAGES: Mapping[str, str] = {
    "assess": "report.html",
    "defend": "defences.html",
    "transfer": "transfer.html",
    "codesign": "codesign.html",
}


R = TypeVar("R", bound=StudyRecord)


def read_record(run: Path, kind: type[R]) -> R:
    """The checked record of a finished run, by its folder or its file; ``kind`` names its command.

    Raises:
        RunError: if the run is missing, unfinished, of another command, or of another schema.
    """
    path = run / FILES[kind.command] if run.is_dir() else run
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as failure:
        hint = _hint(run, kind.command) if run.is_dir() else ""
        raise RunError(
            f"expected a finished run of `robustq {kind.command}`, but {path} cannot be read{hint}"
        ) from failure
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        schema = kind.model_fields["schema_version"].default
        raise RunError(f"{path}: expected {schema}: {where}: {first['msg']}") from None


def _hint(run: Path, command: str) -> str:
    """What the folder holds instead, or how to finish it."""
    for other, file in FILES.items():
        if (run / file).exists():
            return f": it is a run of `robustq {other}`, see {run / PAGES[other]}"
    return f" (unfinished: run the same {command} command again)"


def heading(spec: Specification, data: Dataset, what: str) -> dict[str, Any]:
    """How every record begins; ``what`` was studied names it where the specification gives no title."""
    few = f", {' vs '.join(data.classes)}" if len(data.classes) <= 4 else ""
    return {
        "title": spec.title or f"{what} on {data.name}{few}",
        "versions": versions(*outsiders(spec)),
        "spec": spec.model_dump(),
        "spec_sha256": spec.content_id,
        "data": dict(data.record),
        "threat": str(spec.threat.build(spec.threat.reference)),
        "confidence": spec.confidence,
    }


def versions(*named: str) -> dict[str, str]:
    """What the numbers were computed with: the library, and what of ``named`` is from outside it."""
    return {**runs.versions(), **{name: provenance(name) for name in named if is_outside(name)}}
