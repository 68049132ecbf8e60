"""NSGA-II (Deb et al. 2002) as Optuna implements it, a generation at a time.

A whole generation is asked for before any of it is told, so who is asked for depends on the finished generations
alone: the same seed and the same values, told in the same order, give the same trials.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustq.atomic import write_atomically
from robustq.bench.spec import CodesignSpecification
from robustq.bench.studies.codesign.objectives import OBJECTIVES
from robustq.bench.studies.codesign.space import Candidate, budget_matters
from robustq.seeding import derive

if TYPE_CHECKING:
    import optuna


def generations(
    spec: CodesignSpecification, own: Candidate
) -> Iterator[tuple[optuna.Study, dict[int, optuna.Trial]]]:
    """The study and the trials that it asks for, by our numbers; to be told before the next is asked for.

    Number 0 is the specification's own model ``own``. It opens the first generation if the space holds it;
    otherwise the trials of the study are numbered from 1.
    """
    import optuna

    limits = spec.codesign
    budgets = limits.budgets(spec.threat.reference)
    sampler = optuna.samplers.NSGAIISampler(
        population_size=limits.population, seed=derive(spec.seed, "codesign") % 2**32
    )
    ways = [_way(OBJECTIVES[name].higher) for name in limits.objectives]
    with _quiet():
        study = optuna.create_study(study_name="codesign", directions=ways, sampler=sampler)
    inside = limits.holds(own, budgets)
    if inside:
        study.enqueue_trial(_as_parameters(own, limits.layers, budgets))
    left, offset = limits.trials, 0 if inside else 1
    while left > 0:
        asked = [study.ask(distributions(spec)) for _ in range(min(left, limits.population))]
        left -= len(asked)
        yield study, {trial.number + offset: trial for trial in asked}


def _way(higher: bool) -> optuna.study.StudyDirection:
    from optuna.study import StudyDirection

    return StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE


def distributions(spec: CodesignSpecification) -> dict[str, Any]:
    """The space for Optuna; the budget only where a defence trains for one."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    limits = spec.codesign
    found: dict[str, Any] = {
        "encoding": CategoricalDistribution(limits.encodings),
        "ansatz": CategoricalDistribution(limits.ansaetze),
        "layers": IntDistribution(limits.layers[0], limits.layers[1]),
        "readout": CategoricalDistribution(limits.readouts),
        "defence": CategoricalDistribution(limits.defences),
    }
    if budget_matters(limits.defences):
        found["eps"] = FloatDistribution(*limits.budgets(spec.threat.reference))
    return found


def _as_parameters(own: Candidate, layers: list[int], budgets: tuple[float, float]) -> dict[str, Any]:
    """The specification's own model as parameters of the search; what makes no difference at its least."""
    content: dict[str, Any] = dict(own.__dict__)
    content["layers"] = layers[0] if own.layers is None else own.layers
    content["eps"] = budgets[0] if own.eps is None else own.eps
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's logger greets every study; its level is put back afterwards."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def keep(study: optuna.Study, path: Path) -> None:
    """Optuna's own file of the study so far, replaced as a whole."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    with tempfile.TemporaryDirectory() as folder, _quiet():
        journal = Path(folder) / "study"
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
        copy = optuna.create_study(study_name=study.study_name, directions=study.directions, storage=storage)
        copy.add_trials(study.get_trials(deepcopy=False))
        write_atomically(path, journal.read_bytes())
