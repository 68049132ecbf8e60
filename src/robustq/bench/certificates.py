"""The certificates of one model on its test data: radii and witnesses in a file, accuracies as a record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from safetensors import SafetensorError
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.bench.estimates import Estimate, Record
from robustq.contracts import Certificate
from robustq.errors import RunError

FORMAT: Literal["robustq-certificates-1"] = "robustq-certificates-1"
FILE = "certificates.safetensors"


@dataclass(frozen=True)
class CertificateSet:
    """Tensors by name (``y``, ``label``, ``correct``, ``lower``, ``upper``, ``witness``), and a manifest.

    >>> CertificateSet({"method": "none"}, {}).manifest["method"]
    'none'
    """

    manifest: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @staticmethod
    def of(y: Tensor, found: Certificate, manifest: Mapping[str, Any]) -> CertificateSet:
        """What was proved, and how; the manifest is any JSON-able record."""
        names = ("label", "correct", "lower", "upper", "witness")
        return CertificateSet(manifest, {"y": y, **{name: getattr(found, name) for name in names}})

    def save(self, folder: Path) -> Path:
        """Write ``certificates.safetensors``, atomically, the manifest in its header."""
        from safetensors.torch import save

        header = {"manifest": json.dumps({"format": FORMAT, **self.manifest})}
        content = save({name: t.contiguous() for name, t in self.tensors.items()}, header)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, content)
        return folder / FILE

    @staticmethod
    def load(folder: Path) -> CertificateSet:
        """A set that :meth:`save` wrote.

        Raises:
            RunError: if the file is missing, damaged, or of another format.
        """
        from safetensors import safe_open

        path = folder / FILE
        try:
            with safe_open(path, framework="pt") as opened:
                manifest = json.loads((opened.metadata() or {}).get("manifest", "{}"))
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (OSError, ValueError, SafetensorError) as failure:
            raise RunError(f"expected certificates in {path}: {failure}") from failure
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise RunError(f"{path}: expected format {FORMAT!r}")
        return CertificateSet(manifest, tensors)


class Level(Record):
    """Accuracies at one budget: ``certified <= exact <= attacked``, and ``exact <= possible``."""

    eps: float
    certified: Estimate = Field(description="correct, and proved to stay so")
    possible: Estimate = Field(description="correct, and neither witness nor attack is known to alter it")
    attacked: Estimate | None = Field(None, description="correct, and not flipped by the attack")


class Compared(Record):
    """Another method on the same inputs."""

    method: str
    certified: float = Field(description="certified accuracy at half the largest eps")
    median: float = Field(description="of its radius over the main method's, correct inputs")
    quartiles: tuple[float, float]
    seconds: float = Field(description="per input")
    refused: str = Field("", description="why it does not apply; the numbers are then zero")


class Sandwich(Record):
    """What ``robustq certify`` found."""

    title: str
    model: str
    threat: str
    method: str
    about: str = Field("the model", description="the classifier that the claims are about")
    device: str | None = Field(None, description="whose noise the model is under")
    attack: str | None
    confidence: float
    inputs: int
    correct: int
    abstained: int
    clean: Estimate
    levels: list[Level]
    exact: int = Field(description="correct inputs whose radius is known to a hundredth")
    median_radius: float = Field(description="certified, correct inputs; may be infinite")
    tightness: list[float] = Field(description="certified radius over the nearest witness's, where known")
    seconds: float = Field(description="per input, in one batch after another")
    preparation: float = Field(description="seconds once a model")
    compared: list[Compared]
