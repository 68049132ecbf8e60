"""A model that goes on learning: attacks are remembered, thresholds re-tuned, robustness gained, seeds kept."""

import copy
from functools import lru_cache

import pytest
import torch
from scipy.stats import chisquare
from watching import tempting

from robustq.attacks import PGD, Identity, run_attack
from robustq.defences import Adapting, OnlineDefence, Plain, Policy, Rule
from robustq.defences.detection.mahalanobis import Mahalanobis
from robustq.defences.detection.prototypes import Prototypes
from robustq.defences.response.memory import ReplayMemory
from robustq.errors import DataError, SpecError
from robustq.models import Training, fit
from robustq.models.catalogue import qnn
from robustq.threats import Linf

THREAT = Linf(0.15, (0.0, 1.0))
ATTACK = PGD(steps=6, restarts=1)


def plan(**options):
    chosen = {
        "detectors": (Mahalanobis.fitted,),
        "attack": ATTACK,
        "threat": THREAT,
        "false_alarms": 0.1,
        "training": Training(epochs=4),
        "memory": 80,
        "window": 300,
        "copies": 30,
    }
    return Adapting(**(chosen | options))


@lru_cache
def plainly_trained():
    """Right without an attack, and easy to fool."""
    generator = torch.Generator().manual_seed(5)
    x, y = tempting(300, generator)
    model = qnn(3, 2, generator=generator, layers=2)
    fit(model, x, y, generator=generator, training=Training(epochs=8))
    return model.eval()


def learner(seed=0, policy=None, **options):
    x, y = tempting(200, torch.Generator().manual_seed(77))
    generator = torch.Generator().manual_seed(seed)
    how = plan(**options)
    return OnlineDefence(copy.deepcopy(plainly_trained()), x, y, how, generator=generator, policy=policy)


def attacked(model, x, y, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return run_attack(PGD(steps=10, restarts=1), model, x, y, THREAT, generator=generator)


@pytest.mark.statistical
def test_memory_is_a_uniform_sample_of_bounded_size():
    kept = torch.zeros(30)
    for seed in range(300):
        memory = ReplayMemory(10, torch.Generator().manual_seed(seed))
        for part in torch.arange(30.0)[:, None].split(4):
            memory.add(part, part[:, 0].long())
            assert len(memory) <= 10
        x, y = memory.rows(part)
        assert torch.equal(x[:, 0].long(), y)
        kept[y] += 1
    assert int(kept.sum()) == 3000
    assert chisquare(kept).pvalue > 1e-4
    with pytest.raises(SpecError, match="capacity >= 1"):
        ReplayMemory(0, torch.Generator())


def test_an_empty_memory_has_no_rows():
    x, y = ReplayMemory(3, torch.Generator()).rows(torch.zeros(5, 2))
    assert x.shape == (0, 2)
    assert y.shape == (0,)


def test_alarmed_inputs_wait_for_their_labels():
    loop = learner(memory=20)
    x, y = tempting(60, torch.Generator().manual_seed(1))
    strange = (x + 0.4).clamp(0, 1)
    response, tickets = loop.see(strange)
    alarms = response.where("alarm")
    assert torch.equal(tickets >= 0, alarms)
    assert int(alarms.sum()) > 20
    assert response.labels[alarms].tolist() == [-1] * int(alarms.sum())
    assert loop.label(tickets, y) == 20  # the oldest were let go
    assert loop.label(tickets, y) == 0  # a label arrives once
    remembered, labels = loop.memory.rows(x)
    assert len(remembered) == 20
    expected = strange[alarms][-20:]
    assert torch.equal(remembered, expected)
    assert torch.equal(labels, y[alarms][-20:])


def test_clean_traffic_raises_few_alarms_and_no_drift():
    loop = learner()
    response, _ = loop.see(tempting(300, torch.Generator().manual_seed(9))[0])
    assert 0.01 < float(response.where("alarm").double().mean()) < 0.2
    assert not loop.drift.state.alarmed
    assert loop.drift.state.seen == 300


def test_a_stream_whose_second_half_is_attacked():
    """Robust accuracy after adapting is above that before, judged by an attack on the adapted model."""
    loop = learner()
    x, y = tempting(320, torch.Generator().manual_seed(2))
    test, labels = tempting(150, torch.Generator().manual_seed(3))
    before = attacked(loop.model, test, labels)
    thresholds, drifted = [float(loop.guarded.threshold)], []
    for number, (rows, truth) in enumerate(zip(x.split(40), y.split(40), strict=True)):
        half = number >= 4
        sent = attacked(loop.model, rows, truth, number).x_adv if half else rows
        _, tickets = loop.see(sent)
        loop.label(tickets, truth)
        drifted.append(loop.drift.state.alarmed)
        if half:
            loop.trust(*tempting(20, torch.Generator().manual_seed(100 + number)))
            done = loop.adapt()
            thresholds.append(done.thresholds[1])
            assert done.thresholds[0] == thresholds[-2]
            assert done.remembered == len(loop.memory) <= 80
            assert done.drifted == drifted[-1]
            assert done.trained_on > done.remembered > 0
    after = attacked(loop.model, test, labels)
    share = [float(found.robust.double().mean()) for found in (before, after)]
    assert share[1] > share[0] + 0.15, share
    assert not any(drifted[:4])
    assert any(drifted[4:])
    assert len(set(thresholds)) == len(thresholds)
    fresh, _ = loop.see(tempting(300, torch.Generator().manual_seed(4))[0])
    assert float(fresh.where("alarm").double().mean()) < 0.2
    assert loop.memory.seen > 80


def test_the_same_seed_learns_the_same():
    found = []
    for seed in (5, 5, 6):
        loop = learner(seed, detectors=(Mahalanobis.fitted, Prototypes.fitted))
        loop.see(tempting(40, torch.Generator().manual_seed(2))[0])
        loop.adapt()
        found.append((loop.model.theta.detach().clone(), float(loop.guarded.threshold)))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert not torch.equal(found[0][0], found[2][0])


def test_trusted_rows_that_tune_are_never_trained_on():
    loop = learner()
    tuning = {tuple(row.tolist()) for row in loop._x[loop._tunes]}
    loop.trust(*tempting(150, torch.Generator().manual_seed(8)))
    assert len(loop._x) == 300  # the window
    done = loop.adapt()
    share = float(loop._tunes.double().mean())
    assert 0.3 < share < 0.5
    assert done.trained_on == int((~loop._tunes).sum()) + done.remembered
    kept = {tuple(row.tolist()) for row in loop._x[loop._tunes]}
    assert not tuning.isdisjoint(kept)
    assert tuning.isdisjoint({tuple(row.tolist()) for row in loop._x[~loop._tunes]})


def test_copies_fill_the_memory_and_none_leave_it_empty():
    some, none = learner(copies=25), learner(copies=0)
    assert some.adapt().remembered == 25
    assert none.adapt().remembered == 0
    inside = THREAT.contains(some.memory.rows(some._x)[0], some.memory.rows(some._x)[0])
    assert bool(inside.all())


def test_the_given_defence_trains():
    """With plain training and no copies, robustness is not what is learnt."""
    test, labels = tempting(100, torch.Generator().manual_seed(3))
    robust = []
    for defence, copies in ((Plain(), 0), (None, 60)):
        loop = learner(defence=defence, copies=copies)
        loop.adapt()
        robust.append(float(attacked(loop.model, test, labels).robust.double().mean()))
    assert robust[1] > robust[0] + 0.1


def test_caught_attacks_teach_once_their_labels_arrive():
    """Plain training on what was caught: with labels it resists the next attack, without it learns nothing."""
    test, labels = tempting(150, torch.Generator().manual_seed(3))
    x, y = tempting(120, torch.Generator().manual_seed(2))
    robust = []
    for arrive in (True, False):
        loop = learner(defence=Plain(), copies=0)
        for number in range(3):
            _, tickets = loop.see(attacked(loop.model, x, y, number).x_adv)
            if arrive:
                assert loop.label(tickets, y) > 0
            assert loop.adapt().remembered == len(loop.memory)
        robust.append(float(attacked(loop.model, test, labels).robust.double().mean()))
    assert robust[0] > robust[1] + 0.15, robust


def test_a_policy_of_ones_own(generator):
    loop = learner(policy=Policy((Rule("oracle", "above", 0.5, "alarm"),)))
    x, _ = tempting(10, generator)
    response, tickets = loop.see(x, {"oracle": lambda x, logits: (torch.arange(len(x)) < 3).float()})
    assert response.actions == ("alarm",) * 3 + ("accept",) * 7
    assert tickets.tolist() == [0, 1, 2] + [-1] * 7


def test_impossible_plans_and_rows_are_refused():
    with pytest.raises(SpecError, match=r"window \* held >= 99"):
        plan(false_alarms=0.01, window=100)
    with pytest.raises(SpecError, match="expected detectors"):
        plan(detectors=())
    with pytest.raises(SpecError, match="expected detectors"):
        plan(copies=-1)
    loop = learner()
    with pytest.raises(DataError, match="expected rows like"):
        loop.trust(torch.zeros(3, 7), torch.zeros(3, dtype=torch.int64))


def test_nothing_to_attack_changes_little(generator):
    """The identity as attack: copies are the clean rows themselves."""
    loop = learner(attack=Identity(), copies=20)
    loop.adapt()
    remembered = {tuple(row.tolist()) for row in loop.memory.rows(loop._x)[0]}
    assert remembered <= {tuple(row.tolist()) for row in loop._x}
    model = qnn(3, 2, generator=generator, layers=1)
    assert fit(model, loop._x, loop._y, generator=generator, training=Training(epochs=1)).rows > 0
