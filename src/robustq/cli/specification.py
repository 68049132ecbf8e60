"""A specification from a file or from the few options that most people need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustq import bench
from robustq.errors import SpecError


def specification(
    path: Path | None,
    data: str | None,
    classes: str | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> bench.Spec:
    """The specification of ``path``, or the default one for ``data``; options override either."""
    if (path is None) == (data is None):
        raise SpecError("expected a specification file or --data NAME, got " + ("both" if path else "neither"))
    content: dict[str, Any] = {"data": {"name": data}} if path is None else _plain(path)
    if classes is not None:
        content["data"]["classes"] = [name.strip() for name in classes.split(",")]
    for key, value in (("seeds", seeds), ("seed", seed)):
        if value is not None:
            content[key] = value
    return bench.parse(with_device(content, device))


def with_device(content: Mapping[str, Any], device: str | None) -> dict[str, Any]:
    """The specification's content with this device, a name or a file, instead of its own."""
    if device is None:
        return dict(content)
    return {**content, "noise": {**content.get("noise", {}), "device": device}}


def _plain(path: Path) -> dict[str, Any]:
    return bench.read(path).model_dump()
