"""Co-design: search encoding, ansatz, depth, read-out, defence and its budget for several goals at once.

NSGA-II (Deb et al. 2002, in Optuna) chooses; every architecture is trained and judged on rows held back from
the training part, so the test rows have no say in what is chosen. The front that is left is then
trained again with fresh seeds on all training rows and judged on the test rows, beside the specification's own model.

The state is what was measured, one sealed file a stage. A search is deterministic given what it measured, so an
interrupted one is replayed from its first generation: what is on disk is read instead of measured again, and
the sampler comes to where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq.atomic import write_atomically
from robustq.attacks import QuantumAutoAttack
from robustq.bench.candidates import (
    IMPOSSIBLE,
    Failed,
    Plain,
    complete,
    contradictions,
    gathered,
    measure,
    parameters,
    plain,
    reference,
    searched,
)
from robustq.bench.estimates import Estimate
from robustq.bench.generations import generations, keep
from robustq.bench.objectives import OBJECTIVES, Outcomes
from robustq.bench.outside import outsiders
from robustq.bench.pareto import (
    Architecture,
    Finalist,
    Front,
    Goal,
    Trial,
    non_dominated,
    read_front,
    spread,
    statement,
)
from robustq.bench.runner import Job, Progress, claimed, in_rounds
from robustq.bench.space import Candidate, candidate_of
from robustq.bench.spec import Spec, completed
from robustq.bench.summary import versions
from robustq.data import Dataset
from robustq.errors import RunError, SpecError

WORST = 1e6  # more two-qubit gates than any architecture has
LEAST = 1e-6  # of a violation: outside is outside


def codesign(spec: Spec, run: Path, *, workers: int | None = None, progress: Progress | None = None) -> Front:
    """Search the space of ``spec.codesign`` in the folder ``run`` and return its Pareto front.

    Killed and called again in the same folder it continues; one seed gives the same bytes, whatever the number of
    ``workers``. ``study.journal`` there is Optuna's own file of the study, for its dashboard.

    Args:
        spec: data, threat, training, attack, noise, seeds; ``model`` is what the front is compared with.
        run: the run folder.
        workers: processes; the number of cores by default.
        progress: told after every training.

    Raises:
        SpecError: if no architecture of the space can meet the constraints.
        RunError: if none of those tried does, the folder belongs to something else, or a worker died.
    """
    spec = completed(spec, spec.raw())
    if spec.model.name != "qnn":
        raise SpecError(f"codesign: expected model.name 'qnn', got {spec.model.name!r}")
    data = spec.dataset()
    search = _Search(spec, run, data, searched(data, spec))
    search.check()
    count = min(spec.codesign.population * spec.codesign.seeds, workers or os.cpu_count() or 1)
    expected = spec.codesign.trials * spec.codesign.seeds
    with claimed(run, spec, "codesign"):
        in_rounds(search.rounds(), count, expected, progress or (lambda *_: None))
        write_atomically(run / "codesign.json", search.front().to_bytes())
    return read_front(run)


@dataclass(eq=False)
class _Search:
    """The state of one search, rebuilt from the run folder whenever it is continued."""

    spec: Spec
    run: Path
    data: Dataset
    part: Dataset
    trials: list[Trial] = field(default_factory=list)
    chosen: dict[int, Candidate] = field(default_factory=dict)

    @property
    def majority(self) -> float:
        """Accuracy of always answering the commonest class of the held-back rows."""
        return float(np.bincount(self.part.y_test).max() / len(self.part.y_test))

    def plain(self, candidate: Candidate) -> Plain:
        """What is known before training."""
        width, classes = self.data.x_train.shape[1], len(self.data.classes)
        return plain(self.spec, candidate, width, classes)

    def check(self) -> None:
        """Refuse a space without a possible architecture, before any work."""
        own = self.plain(reference(self.spec))
        if own.gates < 0:
            raise SpecError(f"model: {own.reason}")
        space = self.spec.codesign.structures()
        found = [(self.plain(candidate), candidate) for candidate in space]
        near, which = min(found, key=lambda pair: pair[0].violation)
        if near.violation > 0:
            raise SpecError(
                f"codesign: expected an architecture within the constraints, got none of {len(space)}; the "
                f"nearest is {which}: {near.reason}"
            )

    def rounds(self) -> Iterator[list[Job]]:
        """Generation after generation, then the finalists; what is done already is left out."""
        own = reference(self.spec)
        yield self._jobs([own], final=False)
        self._record(0, own)
        for study, asked in generations(self.spec, own):
            candidates = {number: candidate_of(trial.params) for number, trial in asked.items()}
            fresh = dict.fromkeys(c for c in candidates.values() if self.plain(c).violation == 0)
            yield self._jobs([c for c in fresh if c != own], final=False)
            for number, candidate in candidates.items():
                if number not in self.chosen:
                    self._record(number, candidate)
                study.tell(asked[number], self._told(self.trials[number]))
            keep(study, self.run / "study.journal")
        self._mark()
        yield self._jobs([self.chosen[n] for n in self._finalists()], final=True)

    def _told(self, trial: Trial) -> list[float]:
        """The values for the sampler.

        Outside the constraints every objective is worse than any inside, and the worse the further outside: Deb's
        constrained domination in the values themselves.
        """
        higher = [OBJECTIVES[name].higher for name in self.spec.codesign.objectives]
        if trial.infeasible:
            return [-trial.violation if up else WORST + trial.violation for up in higher]
        return [trial.scores[name].value for name in self.spec.codesign.objectives]

    def _folder(self, candidate: Candidate, seed: int, *, final: bool) -> Path:
        return self.run / ("finals" if final else "trials") / f"{candidate.key}-{seed}"

    def _seeds(self, *, final: bool) -> range:
        """The finals train with seeds that the search has not seen."""
        limit = self.spec.codesign.seeds
        return range(limit, limit + self.spec.seeds) if final else range(limit)

    def _jobs(self, candidates: list[Candidate], *, final: bool) -> list[Job]:
        text = self.spec.model_dump_json()
        return [
            Job(
                f"{'final: ' if final else ''}{candidate}, seed {seed}",
                measure,
                (text, candidate, seed, self._folder(candidate, seed, final=final), final),
            )
            for candidate in candidates
            for seed in self._seeds(final=final)
            if not complete(self._folder(candidate, seed, final=final), self.spec, final=final)
        ]

    def _outcomes(self, candidate: Candidate, *, final: bool) -> Outcomes | Failed:
        folders = [self._folder(candidate, s, final=final) for s in self._seeds(final=final)]
        return gathered(folders, self.spec, self.plain(candidate).gates, final=final)

    def _record(self, number: int, candidate: Candidate) -> None:
        """The trial's record, from what is stored of its architecture."""
        assert number == len(self.trials)
        first = next((n for n, c in self.chosen.items() if c == candidate), None)
        self.chosen[number] = candidate
        if first is not None:
            again = {"number": number, "same_as": first}
            self.trials.append(self.trials[first].model_copy(update=again))
            return
        known = self.plain(candidate)
        content: dict[str, Any] = {
            "number": number,
            "label": str(candidate),
            "two_qubit_gates": known.gates,
            "parameters": Architecture(**parameters(candidate)),
            "scores": {},
            "infeasible": known.reason,
            "violation": known.violation,
        }
        if known.violation == 0 or number == 0:  # the specification's own model is measured in any case
            content |= self._measured(candidate, known)
        self.trials.append(Trial(**content))

    def _measured(self, candidate: Candidate, known: Plain) -> dict[str, Any]:
        found = self._outcomes(candidate, final=False)
        if isinstance(found, Failed):
            return {"infeasible": found.reason, "violation": IMPOSSIBLE}
        told: dict[str, Any] = {
            "scores": _scores(found, self.spec, self.spec.codesign.objectives),
            "notes": list(found.notes),
        }
        least, accuracy = self.spec.codesign.least_accuracy, float(found.correct.mean())
        floor = self.majority if least is None else least
        if not known.reason and (accuracy < floor or (least is None and accuracy <= floor)):
            words = "more than the commonest class" if least is None else "at least"
            told["infeasible"] = f"accuracy {accuracy:.3f}, expected {words} {floor:.3f}"
            told["violation"] = max(LEAST, floor - accuracy)
        return told

    def _mark(self) -> None:
        """Mark the front among the architectures within the constraints.

        Raises:
            RunError: if there are none; what was measured is kept.
        """
        inside = [t for t in self.trials if not t.infeasible and t.same_as is None]
        searched_for = [t for t in inside if t.number > 0 or self._in_space()]
        if not searched_for:
            raise RunError(self._nearest_miss())
        keep = non_dominated(self._table(inside))
        on_front = {t.number for t, kept in zip(inside, keep, strict=True) if kept}
        self.trials = [t.model_copy(update={"front": t.number in on_front}) for t in self.trials]

    def _in_space(self) -> bool:
        budgets = self.spec.codesign.budgets(self.spec.threat.reference)
        return self.spec.codesign.holds(reference(self.spec), budgets)

    def _nearest_miss(self) -> str:
        tried = [t for t in self.trials if t.same_as is None and (t.number > 0 or self._in_space())]
        near = min(tried, key=lambda t: t.violation)
        return (
            f"codesign: expected an architecture within the constraints, got none of {len(tried)} tried; the "
            f"nearest is trial {near.number}, {near.label}: {near.infeasible}; what was measured is kept in "
            f"{self.run}"
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

    def front(self) -> Front:
        """The record of a search whose finalists are all measured."""
        numbers = self._finalists()
        found = {n: self._outcomes(self.chosen[n], final=True) for n in numbers}
        own, finals = found[0], {n: f for n, f in found.items() if isinstance(f, Outcomes)}
        if isinstance(own, Failed):
            raise RunError(f"codesign: the specification's own model: {own.reason}")
        judged = [self._judged(n, f, own, len(finals) - 1) for n, f in finals.items()]
        spec, limits, goals = self.spec, self.spec.codesign, _goals(self.spec)
        left_out = len(self._members()) - len(numbers) + 1
        few = f", {' vs '.join(self.data.classes)}" if len(self.data.classes) <= 4 else ""
        return Front(
            title=spec.title or f"Co-design on {self.data.name}{few}",
            versions=versions(*outsiders(spec)) | {"optuna": version("optuna")},
            spec=spec.model_dump(),
            spec_sha256=spec.content_id,
            data=dict(self.data.record),
            threat=str(spec.threat.build(spec.threat.reference)),
            attack=str(spec.attack.build()),
            final_attack=str(QuantumAutoAttack()),
            confidence=spec.confidence,
            rows={"fitted": len(self.part.y_train), "held": len(self.part.y_test), "test": len(self.data.y_test)},
            seeds={"search": limits.seeds, "final": spec.seeds},
            goals=goals,
            trials=self.trials,
            reference=judged[0],
            finalists=judged[1:],
            left_out=left_out,
            failed=[f"trial {n}: {f.reason}" for n, f in found.items() if isinstance(f, Failed)],
            contradictions=sum(contradictions(f) for f in finals.values()),
            statement=statement(judged[1:], goals, left_out),
        )

    def _judged(self, number: int, found: Outcomes, own: Outcomes, others: int) -> Finalist:
        """One finalist on the test rows; Bonferroni over all gaps that are judged."""
        names = self.spec.codesign.objectives
        level = 1 - (1 - self.spec.confidence) / max(1, others * len(names))
        goals = OBJECTIVES if number else {}  # nothing is compared with itself
        gaps = {name: Estimate.of(goal.gap(found, own, level)) for name, goal in goals.items()}
        return Finalist(
            number=number,
            label=self.trials[number].label,
            scores=_scores(found, self.spec, list(OBJECTIVES)),
            gaps=gaps,
            better=[n for n in names if n in gaps and gaps[n].low > 0],
            worse=[n for n in names if n in gaps and gaps[n].high < 0],
            notes=list(found.notes),
        )


def _goals(spec: Spec) -> list[Goal]:
    return [
        Goal(
            name=name,
            label=goal.label,
            summary=goal.summary,
            higher=goal.higher,
            chosen=name in spec.codesign.objectives,
        )
        for name, goal in OBJECTIVES.items()
    ]


def _scores(found: Outcomes, spec: Spec, names: list[str]) -> dict[str, Estimate]:
    return {n: Estimate.of(OBJECTIVES[n].measured(found, spec.confidence)) for n in names}
