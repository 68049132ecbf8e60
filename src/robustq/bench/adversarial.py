"""An adversarial set: the attacked inputs of one attack on one model, with a manifest of how they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from robustq.atomic import write_atomically
from robustq.contracts import AttackResult
from robustq.errors import RunError

FORMAT = "robustq-adversarial-1"


@dataclass(frozen=True)
class AdversarialSet:
    """Tensors by name (``x``, ``y``, ``x_adv``, ``nearest``, ``correct``, ``success``, ``radius``), and a manifest.

    >>> AdversarialSet({"attack": "none"}, {}).manifest["attack"]
    'none'
    """

    manifest: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @staticmethod
    def of(x: Tensor, y: Tensor, result: AttackResult, manifest: Mapping[str, Any]) -> AdversarialSet:
        """What an attack found, and how; the manifest is any JSON-able record."""
        names = ("x_adv", "nearest", "correct", "success", "radius")
        return AdversarialSet(manifest, {"x": x, "y": y, **{name: getattr(result, name) for name in names}})

    def save(self, folder: Path) -> None:
        """Write ``adversarial.safetensors`` and ``manifest.json``, each atomically; the same set, the same bytes."""
        from safetensors.torch import save

        content = save({name: tensor.contiguous() for name, tensor in self.tensors.items()})
        manifest = {
            "format": FORMAT,
            **self.manifest,
            "tensors": {name: list(tensor.shape) for name, tensor in self.tensors.items()},
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "adversarial.safetensors", content)
        write_atomically(folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())

    @staticmethod
    def load(folder: Path) -> AdversarialSet:
        """A set that :meth:`save` wrote.

        Raises:
            RunError: if a file is missing, altered, or of another format.
        """
        from safetensors.torch import load

        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            content = (folder / "adversarial.safetensors").read_bytes()
        except OSError as failure:
            raise RunError(f"expected an adversarial set in {folder}: {failure}") from failure
        except ValueError as failure:
            raise RunError(f"{folder}: expected manifest.json to hold JSON: {failure}") from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise RunError(f"{folder}: expected format {FORMAT!r} in manifest.json")
        if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
            raise RunError(f"{folder}: adversarial.safetensors was altered (its SHA-256 differs)")
        try:
            return AdversarialSet(manifest, load(content))
        except SafetensorError as failure:
            raise RunError(f"{folder}: expected safetensors: {failure}") from failure

    def surest(self, before: Tensor, after: Tensor, count: int) -> list[dict[str, Any]]:
        """The flipped inputs that the model was surest of, as the report shows them.

        Args:
            before: the model's probabilities of the clean inputs, ``(batch, classes)``.
            after: of the attacked ones.
            count: how many at most.
        """
        x, x_adv, success = (self.tensors[name] for name in ("x", "x_adv", "success"))
        sure = torch.where(success, before.amax(1), torch.full_like(before[:, 0], -1.0))
        worst = torch.argsort(sure, descending=True, stable=True)[: min(count, int(success.sum()))]
        return [
            {
                "row": k,
                "label": int(self.tensors["y"][k]),
                "predicted": int(after[k].argmax()),
                "confidence_before": round(float(before[k].max()), 6),
                "confidence_after": round(float(after[k].max()), 6),
                "x": [round(v, 6) for v in x[k].tolist()],
                "x_adv": [round(v, 6) for v in x_adv[k].tolist()],
            }
            for k in worst.tolist()
        ]
