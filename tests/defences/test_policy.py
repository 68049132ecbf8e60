"""The response policy: which rule decides, what is answered, what it costs, and its data."""

import json

import pytest
import torch
from watching import clouds, watched_model

from robustq.contracts import ShotClassifier
from robustq.defences import Detection, Policy, Rule
from robustq.defences.response.signals import confidence, entropy, margin
from robustq.errors import ModelError, SpecError


def identity(x):
    return x


LOGITS = torch.tensor([[0.0, 5.0], [0.0, 0.1], [3.0, 0.0], [0.2, 0.0]])


def test_signals_are_those_of_the_softmax():
    p = LOGITS.softmax(1)
    torch.testing.assert_close(confidence(LOGITS, LOGITS), p.amax(1))
    torch.testing.assert_close(margin(LOGITS, LOGITS), (p[:, 0] - p[:, 1]).abs())
    expected = torch.distributions.Categorical(p).entropy() / torch.tensor(2.0).log()
    torch.testing.assert_close(entropy(LOGITS, LOGITS), expected)


def test_no_rules_accept_everything():
    found = Policy().respond(LOGITS, identity)
    assert found.labels.tolist() == LOGITS.argmax(1).tolist()
    assert set(found.actions) == {"accept"}
    assert found.rules.tolist() == [-1] * 4
    assert found.shots.tolist() == [0] * 4


def test_the_first_rule_that_holds_decides():
    rules = (Rule("first", "above", 2.5, "alarm"), Rule("margin", "below", 0.3, "abstain"))
    signals = {"first": lambda x, logits: x[:, 0]}
    found = Policy(rules).respond(LOGITS, identity, signals)
    assert found.actions == ("accept", "abstain", "alarm", "abstain")
    assert found.labels.tolist() == [1, -1, -1, -1]
    assert found.rules.tolist() == [-1, 1, 0, 1]
    accept_first = (Rule("margin", "below", 2.0, "accept"), *rules)
    assert set(Policy(accept_first).respond(LOGITS, identity, signals).actions) == {"accept"}
    assert found.where("alarm").tolist() == [False, False, True, False]


def test_a_threshold_itself_is_not_beyond():
    values = torch.tensor([0.1, 0.5, 0.9])
    assert Rule("s", "above", 0.5, "alarm").holds(values).tolist() == [False, False, True]
    assert Rule("s", "below", 0.5, "alarm").holds(values).tolist() == [True, False, False]


def test_recomputing_asks_the_second_model_once():
    asked = []

    def second(x):
        asked.append(len(x))
        return torch.stack([x[:, 1], torch.where(x[:, 0] > 0.1, 9 * x[:, 0], x[:, 1])], 1)

    policy = Policy((Rule("margin", "below", 0.3, "recompute"),))
    found = policy.respond(LOGITS, identity, second=second)
    assert asked == [2]
    assert found.recomputed.tolist() == [False, True, False, True] == found.where("recompute").tolist()
    assert found.labels.tolist() == [1, -1, 0, 1]  # the second model is sure of the last one only
    assert found.actions == ("accept", "abstain", "accept", "accept")
    alarmed = Policy(policy.rules, "alarm").respond(LOGITS, identity, second=second)
    assert alarmed.actions[1] == "alarm"
    with pytest.raises(ModelError, match="expected a second model"):
        policy.respond(LOGITS, identity)


def test_shots_are_counted_for_each_input(generator):
    model, x, _ = watched_model()
    few, many = (model.under(shots=shots, generator=generator) for shots in (20, 5000))
    assert isinstance(few, ShotClassifier)
    policy = Policy((Rule("margin", "below", 0.5, "recompute"),), "accept")
    found = policy.respond(x, few, second=many)
    assert 0 < int(found.recomputed.sum()) < len(x)
    expected = few.shots_per_answer + many.shots_per_answer * found.recomputed
    assert found.shots.tolist() == expected.tolist()


@pytest.mark.statistical
def test_more_shots_where_it_is_close_answer_as_many_shots_everywhere(generator):
    """Recomputing buys the agreement of the large budget at a fraction of its cost."""
    model, _, _ = watched_model()
    x, _ = clouds(400, generator)
    x = 0.5 + 0.6 * (x - 0.5)
    few, many = (model.under(shots=shots, generator=generator) for shots in (10, 2000))
    with torch.no_grad():
        exact = model(x).argmax(1)
    plain = Policy().respond(x, few)
    policy = Policy((Rule("margin", "below", 0.7, "recompute"),), "accept")
    found = policy.respond(x, few, second=many)
    wrong = [int((r.labels != exact).sum()) for r in (plain, found)]
    assert wrong[1] < wrong[0] / 2
    assert int(found.shots.sum()) < 0.8 * len(x) * many.shots_per_answer


def test_detectors_drive_it(generator):
    model, x, y = watched_model()
    watched = Detection().around(model, x, y, generator)
    signals = {"suspicion": lambda x, logits: watched.suspicion(x)}
    policy = Policy((Rule("suspicion", "above", float(watched.threshold), "alarm"),))
    wide = torch.cat([x, (x + 0.3).clamp(0, 1)])
    found = policy.respond(wide, model, signals)
    with torch.no_grad():
        assert found.where("alarm").tolist() == (watched(wide).argmax(1) == 2).tolist()


def test_a_policy_is_data():
    policy = Policy((Rule("suspicion", "above", 2, "alarm"), Rule("entropy", "above", 0.5, "recompute")), "alarm")
    assert Policy.from_data(json.loads(json.dumps(policy.to_data()))) == policy
    assert Policy.from_data({"rules": []}) == Policy()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule("margin", "under", 0.1, "alarm"), "unknown side of a threshold 'under'"),
        (lambda: Rule("margin", "below", 0.1, "abstian"), "did you mean 'abstain'"),
        (lambda: Rule("margin", "below", "0.1", "alarm"), "a number as threshold"),
        (lambda: Rule("margin", "below", float("nan"), "alarm"), "a number as threshold"),
        (lambda: Policy(("alarm",)), "expected rules, got str"),
        (lambda: Policy((), "recompute"), "expected exhausted as"),
        (lambda: Policy.from_data({}), "expected rules as tables"),
        (lambda: Policy.from_data({"rules": [{"signal": "margin"}]}), "expected rules as tables"),
        (lambda: Policy.from_data({"rules": [], "rule": 1}), r"got \['rule'\] too"),
        (lambda: Policy((Rule("margn", "below", 0.1, "alarm"),)).respond(LOGITS, identity), "did you mean 'margin'"),
        (lambda: Policy().respond(LOGITS, identity).where("panic"), "unknown action"),
    ],
)
def test_what_is_no_policy_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_signals_have_to_be_finite_numbers():
    rule = Rule("bad", "above", 0.0, "alarm")
    for bad in (lambda x, logits: logits, lambda x, logits: torch.full((len(x),), torch.nan)):
        with pytest.raises(ModelError, match="signal 'bad': expected a finite number"):
            Policy((rule,)).respond(LOGITS, identity, {"bad": bad})


def test_a_posterior_and_a_conformal_set_are_signals(generator):
    """What members disagree about is not answered; nor is what a set does not decide."""
    from robustq.defences.response.signals import doubt, set_size
    from robustq.uncertainty import SCORES, Panel
    from robustq.uncertainty.conformal import LeastAmbiguous, calibrate

    panel = Panel((lambda x: 3 * x, lambda x: 3 * x.flip(1)))
    x = torch.tensor([[4.0, 4.0], [4.0, -4.0], [0.1, 0.0]])
    for score in SCORES:
        values = doubt(panel, score)(x, x)
        assert torch.equal(values, SCORES[score](panel.members(x)))
    policy = Policy((Rule("doubt", "above", 0.3, "abstain"),))
    found = policy.respond(x, lambda x: x, {"doubt": doubt(panel, "mutual-information")})
    assert found.where("abstain").tolist() == [False, True, False]
    with pytest.raises(SpecError, match="did you mean 'entropy'"):
        doubt(panel, "entropi")

    rows = torch.rand(200, 2, generator=generator).double()
    chances = (rows / rows.sum(1, keepdim=True)).numpy()
    conformal = calibrate(chances, (chances[:, 1] > 0.5).astype(int), alpha=0.1, score=LeastAmbiguous())
    sure = Policy((Rule("classes", "above", 1, "abstain"), Rule("classes", "below", 1, "alarm")))
    logits = torch.tensor([[5.0, 0.0], [0.0, 0.0]])
    answered = sure.respond(logits, lambda x: x, {"classes": set_size(conformal)})
    assert answered.labels.tolist()[0] == 0
    held = conformal.sets(logits.double().softmax(1).numpy()).sum(1)
    assert (answered.labels >= 0).tolist() == (held == 1).tolist()
