"""Co-design: search encoding, ansatz, depth, read-out, defence and its budget for several goals at once.

NSGA-II (Deb et al. 2002, in Optuna) chooses; every architecture is trained and judged on rows held back from
the training part, so the test rows have no say in what is chosen. The front that is left is then
trained again with fresh seeds on all training rows and judged on the test rows, beside the specification's own model.

The state is what was measured, one sealed file a stage. A search is deterministic given what it measured, so an
interrupted one is replayed from its first generation: what is on disk is read instead of measured again, and
the sampler comes to where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq.attacks import QuantumAutoAttack
from robustq.bench.estimates import Estimate
from robustq.bench.pareto import Architecture, Finalist, Front, Goal, Trial, non_dominated, spread, statement
from robustq.bench.records import heading
from robustq.bench.spec import CodesignSpecification, Spec, completed
from robustq.bench.studies.codesign.candidates import (
    IMPOSSIBLE,
    FailureStage,
    Feasibility,
    contradictions,
    feasibility,
    gathered,
    reference,
    searched,
)
from robustq.bench.studies.codesign.generations import generations, keep
from robustq.bench.studies.codesign.objectives import OBJECTIVES, Performance
from robustq.bench.studies.codesign.space import Candidate, candidate_of
from robustq.bench.study import perform, plain
from robustq.data import Dataset
from robustq.errors import RunError, SpecError
from robustq.runs import Compute, Progress, Unit

WORST = 1e6  # more two-qubit gates than any architecture has
LEAST = 1e-6  # of a violation: outside is outside


def codesign(
    spec: Spec,
    run: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    compute: Compute | None = None,
) -> Front:
    """Search the space of ``spec.codesign`` in the folder ``run`` and return its Pareto front.

    ``study.journal`` there is Optuna's own file of the study, for its dashboard.

    Args:
        spec: data, threat, training, attack, noise, seeds; ``model`` is what the front is compared with.
        run: the run folder (see :func:`robustq.bench.study.perform`).
        workers: processes.
        progress: told after every training.
        compute: with what else than processes on this machine, and over which store.

    Raises:
        SpecError: if no architecture of the space can meet the constraints.
        RunError: if none of those tried does.
    """
    return perform(Search.of(spec), run, workers, progress, compute)


@dataclass(eq=False)
class Search:
    """A specification completed by its data, and the state of the search, rebuilt whenever it is continued.

    Attributes:
        spec: what to search.
        data: with the test rows, for the finalists.
        part: the training rows alone, for the search.
        trials: what was tried so far.
        chosen: the architecture of each trial.
    """

    spec: CodesignSpecification
    data: Dataset
    part: Dataset
    trials: list[Trial] = field(default_factory=list)
    chosen: dict[int, Candidate] = field(default_factory=dict)
    kind: type[Front] = Front

    @staticmethod
    def of(spec: Spec) -> Search:
        """With every choice that depends on the data written out."""
        raw = spec.raw()
        own = completed(spec, raw).of(CodesignSpecification)
        if own.model.name != "qnn":
            raise SpecError(f"codesign: expected model.name 'qnn', got {own.model.name!r}")
        data = own.dataset(raw)
        return Search(own, data, searched(data, own))

    @property
    def total(self) -> int:
        """Trainings of the search, at most."""
        return self.spec.codesign.trials * self.spec.codesign.seeds

    @property
    def majority(self) -> float:
        """Accuracy of always answering the commonest class of the held-back rows."""
        return float(np.bincount(self.part.y_test).max() / len(self.part.y_test))

    @cached_property
    def own(self) -> Candidate:
        """The specification's own model."""
        return reference(self.spec)

    @cached_property
    def own_is_inside(self) -> bool:
        """Whether the search could choose it."""
        return self.spec.codesign.holds(self.own, self.spec.codesign.budgets(self.spec.threat.reference))

    def feasibility(self, candidate: Candidate) -> Feasibility:
        """What is known before training."""
        return feasibility(self.spec, candidate, self.data.x_train.shape[1], len(self.data.classes))

    def check(self) -> None:
        """Refuse a space without a possible architecture."""
        own = self.feasibility(self.own)
        if own.gates < 0:
            raise SpecError(f"model: {own.reason}")
        space = self.spec.codesign.structures()
        near, which = min(((self.feasibility(c), c) for c in space), key=lambda pair: pair[0].violation)
        if near.violation > 0:
            raise SpecError(
                f"codesign: expected an architecture within the constraints, got none of {len(space)}; the "
                f"nearest is {which}: {near.reason}"
            )

    def rounds(self, run: Path) -> Iterator[list[Unit]]:
        """Generation after generation, then the finalists."""
        yield self._units([self.own], final=False)
        self._record(run, 0, self.own)
        for study, asked in generations(self.spec, self.own):
            candidates = {number: candidate_of(trial.params) for number, trial in asked.items()}
            fresh = dict.fromkeys(c for c in candidates.values() if c not in self.chosen.values())
            yield self._units([c for c in fresh if self.feasibility(c).violation == 0], final=False)
            for number, candidate in candidates.items():
                if number not in self.chosen:
                    self._record(run, number, candidate)
                study.tell(asked[number], self._told(self.trials[number]))
            keep(study, run / "study.journal")
        self._mark(run)
        yield self._units([self.chosen[n] for n in self._finalists()], final=True)

    def _told(self, trial: Trial) -> list[float]:
        """The values for the sampler.

        Outside the constraints every objective is worse than any inside, and the worse the further outside: Deb's
        constrained domination in the values themselves.
        """
        higher = [OBJECTIVES[name].higher for name in self.spec.codesign.objectives]
        if trial.infeasible:
            return [-trial.violation if up else WORST + trial.violation for up in higher]
        return [trial.scores[name].value for name in self.spec.codesign.objectives]

    def _seeds(self, *, final: bool) -> range:
        """The finals train with seeds that the search has not seen."""
        limit = self.spec.codesign.seeds
        return range(limit, limit + self.spec.seeds) if final else range(limit)

    def _units(self, candidates: list[Candidate], *, final: bool) -> list[Unit]:
        content = plain(self.spec)
        return [
            Unit(
                "robustq.bench.studies.codesign.candidates:measure",
                {"spec": content, "candidate": asdict(candidate), "seed": seed, "final": final},
                _folder(candidate, seed, final=final),
                f"{'final: ' if final else ''}{candidate}, seed {seed}",
            )
            for candidate in candidates
            for seed in self._seeds(final=final)
        ]

    def _performance(self, run: Path, candidate: Candidate, *, final: bool) -> Performance | FailureStage:
        folders = [run / _folder(candidate, seed, final=final) for seed in self._seeds(final=final)]
        return gathered(folders, self.spec, self.feasibility(candidate).gates, final=final)

    def _record(self, run: Path, number: int, candidate: Candidate) -> None:
        """The trial's record, from what is stored of its architecture."""
        assert number == len(self.trials)
        first = next((n for n, c in self.chosen.items() if c == candidate), None)
        self.chosen[number] = candidate
        if first is not None:
            again = {"number": number, "same_as": first}
            self.trials.append(self.trials[first].model_copy(update=again))
            return
        known = self.feasibility(candidate)
        content: dict[str, Any] = {
            "number": number,
            "label": str(candidate),
            "two_qubit_gates": known.gates,
            "parameters": Architecture(**asdict(candidate)),
            "scores": {},
            "infeasible": known.reason,
            "violation": known.violation,
        }
        if known.violation == 0 or number == 0:  # the specification's own model is measured in any case
            content |= self._measured(run, candidate, known)
        self.trials.append(Trial(**content))

    def _measured(self, run: Path, candidate: Candidate, known: Feasibility) -> dict[str, Any]:
        measured = self._performance(run, candidate, final=False)
        if isinstance(measured, FailureStage):
            return {"infeasible": measured.reason, "violation": IMPOSSIBLE}
        told: dict[str, Any] = {
            "scores": _scores(measured, self.spec, self.spec.codesign.objectives),
            "notes": list(measured.notes),
        }
        least, accuracy = self.spec.codesign.least_accuracy, float(measured.correct.mean())
        floor = self.majority if least is None else least
        if not known.reason and (accuracy < floor or (least is None and accuracy <= floor)):
            words = "more than the commonest class" if least is None else "at least"
            told["infeasible"] = f"accuracy {accuracy:.3f}, expected {words} {floor:.3f}"
            told["violation"] = max(LEAST, floor - accuracy)
        return told

    def _mark(self, run: Path) -> None:
        """Mark the front among the architectures within the constraints.

        Raises:
            RunError: if there are none; what was measured is kept.
        """
        inside = [t for t in self.trials if not t.infeasible and t.same_as is None]
        searched_for = [t for t in inside if t.number > 0 or self.own_is_inside]
        if not searched_for:
            raise RunError(self._nearest_miss(run))
        keep = non_dominated(self._table(inside))
        on_front = {t.number for t, kept in zip(inside, keep, strict=True) if kept}
        self.trials = [t.model_copy(update={"front": t.number in on_front}) for t in self.trials]

    def _nearest_miss(self, run: Path) -> str:
        tried = [t for t in self.trials if t.same_as is None and (t.number > 0 or self.own_is_inside)]
        near = min(tried, key=lambda t: t.violation)
        return (
            f"codesign: expected an architecture within the constraints, got none of {len(tried)} tried; the "
            f"nearest is trial {near.number}, {near.label}: {near.infeasible}; what was measured is kept in "
            f"{run}"
        )

    def _table(self, trials: list[Trial]) -> NDArray[np.float64]:
        """Values of the objectives, more is better."""
        names = self.spec.codesign.objectives
        signs = [1.0 if OBJECTIVES[name].higher else -1.0 for name in names]
        return np.array([[sign * t.scores[n].value for n, sign in zip(names, signs, strict=True)] for t in trials])

    def _members(self) -> list[Trial]:
        """The front without the specification's own model."""
        return [t for t in self.trials if t.front and t.number > 0]

    def _finalists(self) -> list[int]:
        """The specification's own model, and those of the front that are judged on the test rows."""
        members = self._members()
        if not members:
            return [0]
        kept = spread(self._table(members), self.spec.codesign.finalists)
        return [0, *(members[k].number for k in kept)]

    def record(self, run: Path) -> Front:
        """The record of a search whose finalists are all measured."""
        numbers, spec, goals = self._finalists(), self.spec, _goals(self.spec)
        stored = {n: self._performance(run, self.chosen[n], final=True) for n in numbers}
        own, finals = stored[0], {n: f for n, f in stored.items() if isinstance(f, Performance)}
        if isinstance(own, FailureStage):
            raise RunError(f"codesign: the specification's own model: {own.reason}")
        judged = [self._judged(n, f, own, len(finals) - 1) for n, f in finals.items()]
        left_out = len(self._members()) - len(numbers) + 1
        head = heading(spec, self.data, "Co-design")
        head["versions"] |= {"optuna": version("optuna")}
        return Front(
            **head,
            attack=str(spec.attack.build()),
            final_attack=str(QuantumAutoAttack()),
            rows={"fitted": len(self.part.y_train), "held": len(self.part.y_test), "test": len(self.data.y_test)},
            seeds={"search": spec.codesign.seeds, "final": spec.seeds},
            goals=goals,
            trials=self.trials,
            reference=judged[0],
            finalists=judged[1:],
            left_out=left_out,
            failed=[f"trial {n}: {f.reason}" for n, f in stored.items() if isinstance(f, FailureStage)],
            contradictions=sum(contradictions(f) for f in finals.values()),
            statement=statement(judged[1:], goals, left_out),
        )

    def publish(self, run: Path, seconds: float) -> None:
        """The study's journal is kept generation by generation; there is nothing else."""

    def _judged(self, number: int, one: Performance, own: Performance, others: int) -> Finalist:
        """One finalist on the test rows; Bonferroni over all gaps that are judged."""
        names = self.spec.codesign.objectives
        level = 1 - (1 - self.spec.confidence) / max(1, others * len(names))
        goals = OBJECTIVES if number else {}  # nothing is compared with itself
        gaps = {name: Estimate.of(goal.gap(one, own, level)) for name, goal in goals.items()}
        return Finalist(
            number=number,
            label=self.trials[number].label,
            scores=_scores(one, self.spec, list(OBJECTIVES)),
            gaps=gaps,
            better=[n for n in names if n in gaps and gaps[n].low > 0],
            worse=[n for n in names if n in gaps and gaps[n].high < 0],
            notes=list(one.notes),
        )


def _folder(candidate: Candidate, seed: int, *, final: bool) -> str:
    return f"{'finals' if final else 'trials'}/{candidate.key}-{seed}"


def _goals(spec: CodesignSpecification) -> list[Goal]:
    chosen = spec.codesign.objectives
    return [
        Goal(name=name, label=goal.label, summary=goal.summary, higher=goal.higher, chosen=name in chosen)
        for name, goal in OBJECTIVES.items()
    ]


def _scores(one: Performance, spec: CodesignSpecification, names: list[str]) -> dict[str, Estimate]:
    return {n: Estimate.of(OBJECTIVES[n].measured(one, spec.confidence)) for n in names}
