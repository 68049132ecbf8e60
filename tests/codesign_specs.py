"""A small search, shared by the tests of the search, its command and its page."""

from typing import Any

SMALL: dict[str, Any] = {
    "title": "A <script>alert(1)</script> title",
    "seeds": 1,
    "data": {"name": "iris", "features": 3, "classes": ["versicolor", "virginica"]},
    "model": {"options": {"layers": 1}},
    "training": {"epochs": 3},
    "threat": {"eps": [0.02, 0.05], "reference": 0.05},
    "attack": {"options": {"steps": 3, "restarts": 1}},
    "defence": {"steps": 2},
    "noise": {"gate_error": [0.05, 0.1], "readout_error": [0.1], "shots": 100},
    "codesign": {
        "trials": 9,
        "population": 3,
        "seeds": 1,
        "layers": [1, 2],
        "encodings": ["angle", "dense-angle"],
        "readouts": ["per-qubit-z", "basis-groups"],
        "objectives": ["clean", "robust", "certified", "two-qubit-gates"],
        "most_two_qubit_gates": 4,
        "least_accuracy": 0.2,
        "finalists": 1,
    },
}


def small(**changes: Any) -> dict[str, Any]:
    """With other values in its table of the search."""
    return SMALL | {"codesign": SMALL["codesign"] | changes}


def drawn() -> Any:
    """A front with every kind of row that a page must show: made by hand, measured nowhere."""
    from robustq.bench.estimates import Estimate
    from robustq.bench.pareto import Architecture, Finalist, Front, Goal, Trial
    from robustq.bench.studies.codesign.objectives import OBJECTIVES

    chosen = ("clean", "robust", "two-qubit-gates")

    def share(value: float, reach: float = 0.1) -> Estimate:
        return Estimate(value=value, low=value - reach, high=value + reach, inputs=20, seeds=2)

    def trial(number: int, clean: float, robust: float, gates: int, **more: Any) -> Trial:
        layers = gates // 3 + 1
        values = {"clean": share(clean), "robust": share(robust), "two-qubit-gates": share(gates, 0)}
        return Trial(
            number=number,
            label=f"angle, brickwork x {layers}, parity",
            two_qubit_gates=gates,
            parameters=Architecture(
                encoding="angle", ansatz="brickwork", layers=layers, readout="parity", defence="none", eps=None
            ),
            **({"scores": values} | more),
        )

    def finalist(number: int, ahead: float, fewer: int, **judged: Any) -> Finalist:
        gaps = {n: share(0.0) for n in OBJECTIVES} | {"robust": share(ahead), "two-qubit-gates": share(fewer, 0)}
        scores = {n: share(0.6 + k / 100) for k, n in enumerate(OBJECTIVES)}
        scores["two-qubit-gates"] = share(6 - fewer, 0)
        gaps = gaps if number else {}
        return Finalist(number=number, label=f"finalist {number}", scores=scores, gaps=gaps, **judged)

    return Front(
        title=SMALL["title"],
        versions={"robustq": "0", "optuna": "5"},
        spec={"seed": 3, "codesign": {"population": 4}},
        spec_sha256="0" * 64,
        threat="l-inf eps=0.05",
        attack="PGD",
        final_attack="QuantumAutoAttack v1",
        data={"citation": "Fisher 1936", "licence": "CC", "content_sha256": "1" * 64},
        confidence=0.95,
        rows={"fitted": 56, "held": 24, "test": 20},
        seeds={"search": 2, "final": 5},
        goals=[
            Goal(name=n, label=g.label, summary=g.summary, higher=g.higher, chosen=n in chosen)
            for n, g in OBJECTIVES.items()
        ],
        trials=[
            trial(0, 0.9, 0.5, 6),
            trial(1, 0.9, 0.7, 2, front=True),
            trial(2, 0.95, 0.4, 8, front=True),
            trial(3, 0.95, 0.4, 8, same_as=2),
            trial(4, 0.5, 0.3, 3, infeasible="accuracy 0.500, expected at least 0.800", violation=0.3),
            trial(5, 0, 0, 9, scores={}, infeasible="9 two-qubit gates, at most 8", violation=1.1),
        ],
        reference=finalist(0, 0.0, 0, better=[], worse=[]),
        finalists=[
            finalist(1, 0.2, 4, better=["robust", "two-qubit-gates"], worse=[]),
            finalist(2, 0.0, -2, better=[], worse=["two-qubit-gates"]),
        ],
        left_out=3,
        contradictions=0,
        statement="1 of 2 finalists dominates the specification's own model.",
    )
