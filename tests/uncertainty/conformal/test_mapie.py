"""Sets beside those of MAPIE, an independent implementation, on the answers of a trained quantum model."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from robustq.uncertainty.conformal import Adaptive, RegularisedAdaptive, ShotAnswers, calibrate, evaluate
from trained_models import trained

mapie = pytest.importorskip("mapie.classification")


class Table(ClassifierMixin, BaseEstimator):
    """An estimator whose inputs are its probabilities."""

    def fit(self, X, y):
        self.classes_, self.fitted_ = np.unique(y), True
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return self.classes_[np.asarray(X).argmax(1)]


class Fixed(np.random.RandomState):
    """Uniform numbers known beforehand, call by call."""

    def __init__(self, *draws):
        super().__init__(0)
        self.draws = list(draws)

    def uniform(self, *args, size=None, **kwargs):
        return self.draws.pop(0).reshape(size)


class Drawn:
    """The same numbers as a NumPy generator would give them."""

    def __init__(self, draws):
        self.draws = draws

    def random(self, shape):
        return self.draws.reshape(shape)


def theirs(kind, rows, y, test, alpha, draws=None, last=None):
    fitted = Table().fit(rows, y)
    predictor = mapie.SplitConformalClassifier(
        fitted, 1 - alpha, conformity_score=kind, prefit=True, random_state=draws
    )
    predictor.conformalize(rows, y)
    params = {} if last is None else {"include_last_label": last}
    return predictor, predictor.predict_set(test, conformity_score_params=params)[1][:, :, 0]


def halves(name):
    model, x, y = trained(name)
    rng = np.random.default_rng(7)
    order = rng.permutation(len(x))
    rows, labels = ShotAnswers(model, None).probabilities(x)[order], y.numpy()[order]
    half = len(x) // 2
    return rows[:half], labels[:half], rows[half:], labels[half:]


@pytest.fixture(scope="module", params=["breast-cancer", "iris"])
def answers(request):
    return halves(request.param)


@pytest.fixture(scope="module")
def three():
    """Three classes: of two MAPIE does nothing but LAC."""
    return halves("iris")


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.3])
def test_lac_sets_are_the_same(answers, alpha):
    rows, y, test, _ = answers
    ours = calibrate(rows, y, alpha=alpha).sets(test)
    assert np.array_equal(ours, theirs("lac", rows, y, test, alpha)[1])


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("randomised", [True, False])
def test_aps_sets_are_the_same(three, alpha, randomised, rng):
    """MAPIE draws u in calibration in any case; zeros make that the score without chance."""
    rows, y, test, _ = three
    us = [rng.random(len(part)) * randomised for part in (rows, test)]
    score = Adaptive(randomised)
    found = calibrate(rows, y, alpha=alpha, score=score, generator=Drawn(us[0]))
    ours = found.sets(test, Drawn(us[1]))
    assert np.array_equal(ours, theirs("aps", rows, y, test, alpha, Fixed(*us), "randomized")[1])


@pytest.mark.parametrize("alpha", [0.1, 0.3])
def test_their_sets_without_the_last_label_are_ours_or_the_first_label(three, alpha):
    """``include_last_label=False`` fills empty sets; nothing else differs."""
    rows, y, test, _ = three
    ours = calibrate(rows, y, alpha=alpha, score=Adaptive(False)).sets(test)
    first = np.arange(test.shape[1]) == test.argmax(1)[:, None]
    filled = np.where(ours.any(1)[:, None], ours, first)
    draws = Fixed(np.zeros(len(rows)))
    assert np.array_equal(filled, theirs("aps", rows, y, test, alpha, draws, False)[1])


def test_raps_scores_are_the_same_for_the_same_options(three, rng):
    """MAPIE chooses k and lambda on a part of the rows; the scores of the rest are compared at its choice."""
    rows, y, test, _ = three
    us = [rng.random(len(part)) for part in (rows, test)]

    class Counted(Fixed):
        def uniform(self, *args, size=None, **kwargs):
            return self.draws.pop(0)[: np.prod(size)].reshape(size)

    predictor, sets = theirs("raps", rows, y, test, 0.2, Counted(*us), "randomized")
    inner = predictor._mapie_classifier.conformity_score_function_
    score = RegularisedAdaptive(int(inner.k_star[0]), float(np.ravel(inner.lambda_star)[0]))
    ours = score.of(test, Drawn(us[1])) <= float(np.ravel(inner.quantiles_)[0])
    assert np.array_equal(ours, sets)


def test_evaluation_agrees(answers):
    metrics = pytest.importorskip("mapie.metrics.classification")
    rows, y, test, truth = answers
    sets = calibrate(rows, y, alpha=0.05).sets(test)
    found = evaluate(sets, truth)
    assert found.coverage.value == pytest.approx(metrics.classification_coverage_score(truth, sets[:, :, None])[0])
    assert found.size.value == pytest.approx(metrics.classification_mean_width_score(sets[:, :, None])[0])
    for size, interval in found.by_size.items():
        rows = sets.sum(1) == size
        theirs_ = metrics.classification_coverage_score(truth[rows], sets[rows][:, :, None])[0]
        assert interval.value == pytest.approx(theirs_)
