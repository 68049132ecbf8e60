"""How many inputs the complete verifier decides, and how long it takes, on trained models with eight features.

    python -m studies.complete_verifier

trains the undefended and the adversarially trained QNN of the default assessment on breast cancer and NSL-KDD (the
latter where ``ROBUSTQ_DATA_DIR`` names the data folder), decides every test input at four budgets, together and one
by one, sets PGD and QuantumAutoAttack beside the decisions, prints the table, writes it into docs/certification.md.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from perf.markers import inject
from perf.page import table
from torch import Tensor

from robustq import bench
from robustq.attacks import PGD, QuantumAutoAttack, run_attack
from robustq.bench.entrants import defence_of
from robustq.bench.training import trained
from robustq.certify.verifier import Complete
from robustq.contracts import Bounds, Classifier, Prover, QuantumClassifier
from robustq.errors import CertificateError
from robustq.threats import Linf

BUDGETS, INPUTS, ALONE = (0.05, 0.1, 0.2, 0.3), 300, 100
PAGE = Path(__file__).resolve().parent.parent / "docs" / "certification.md"


@dataclass(frozen=True, eq=False)
class Case:
    """A frozen model with test inputs in float64."""

    name: str
    model: Classifier
    x: Tensor


def cases() -> Iterator[Case]:
    """Both models of both data sets."""
    names = ["breast-cancer"] + (["nsl-kdd"] if os.environ.get("ROBUSTQ_DATA_DIR") else [])
    for name in names:
        study = bench.Assessment.of(bench.parse({"data": {"name": name}, "seeds": 1}))
        spec, data = study.spec, study.data
        for entrant in study.entrants[:2]:
            recipe = defence_of(entrant, spec.defence, spec)
            with tempfile.TemporaryDirectory() as folder:
                model = trained(entrant, spec, recipe, data, 0, Path(folder))
            assert isinstance(model, QuantumClassifier)
            yield Case(f"{name}, {entrant.label}", model.freeze(), data.tensors("test")[0][:INPUTS].double())


def measured(case: Case, eps: float) -> dict[str, object]:
    """One row of the table.

    Raises:
        CertificateError: if an attack succeeds where a proof was given.
    """
    generator, threat = torch.Generator().manual_seed(0), Linf(eps, (0.0, 1.0))
    prover = Complete(decide_only=True).prepare(case.model, threat, generator)
    found, together = _timed(prover, case.x)
    alone = [_timed(prover, case.x[k : k + 1])[1] for k in range(min(ALONE, len(case.x)))]
    proved, refuted = found.lower >= eps, torch.isfinite(found.upper)
    missed = refuted.clone()
    for attack in (PGD(), QuantumAutoAttack()):
        result = run_attack(attack, case.model, case.x, found.label, threat, generator=generator)
        missed &= ~result.success
        if bool((proved & result.success).any()):
            raise CertificateError(f"{case.name}: {attack} flipped a proved input at eps {eps}")
    return {
        "model": case.name,
        "eps": eps,
        "inputs": len(case.x),
        "proved": int(proved.sum()),
        "refuted": int(refuted.sum()),
        "decided %": 100 * float((proved | refuted).double().mean()),
        "refuted, missed by both attacks": int(missed.sum()),
        "together, ms an input": round(together / len(case.x), 3),
        "alone, median ms": round(statistics.median(alone), 2),
        "alone, most ms": round(max(alone), 1),
    }


def _timed(prover: Prover, x: Tensor) -> tuple[Bounds, float]:
    """Claims, and milliseconds."""
    start = time.perf_counter()
    with torch.no_grad():
        found = prover.prove(x)
    return found, 1000 * (time.perf_counter() - start)


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    rows = []
    for case in cases():
        measured(case, BUDGETS[0])  # what is done at the first use is not timed
        for eps in BUDGETS:
            rows.append(measured(case, eps))
            print(rows[-1], flush=True)
    PAGE.write_text(inject(PAGE.read_text(encoding="utf-8"), table(rows), "verifier"), encoding="utf-8")


if __name__ == "__main__":
    main()
