"""The scikit-learn classifier passes scikit-learn's own checks and lives in its tools."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from robustq.attacks import PGD
from robustq.defences import AdversarialTraining
from robustq.interop.sklearn import RobustQClassifier
from robustq.threats import Linf

FAST = RobustQClassifier(epochs=8, lr=0.2, random_state=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks([RobustQClassifier()])
def test_scikit_learns_own_checks(estimator, check):
    assert check(estimator) is None


def test_grid_search_and_clone():
    x, y = load_iris(return_X_y=True)
    search = GridSearchCV(FAST, {"options": [{"layers": 1}, {"layers": 2}]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.6
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_pipeline_and_joblib(tmp_path):
    x, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), clone(FAST))
    assert cross_val_score(pipeline, x, y, cv=2, n_jobs=1).mean() > 0.85
    pipeline.fit(x, y)
    joblib.dump(pipeline, tmp_path / "model")
    np.testing.assert_array_equal(joblib.load(tmp_path / "model").predict(x), pipeline.predict(x))


def test_string_labels_probabilities_and_seed():
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    a, b = clone(FAST).fit(x, names), clone(FAST).fit(x, names)
    assert set(a.predict(x)) <= set(names)
    np.testing.assert_allclose(a.predict_proba(x).sum(1), 1)
    np.testing.assert_array_equal(a.predict_proba(x), b.predict_proba(x))


def test_takes_a_defence():
    x, y = load_iris(return_X_y=True)
    defence = AdversarialTraining(PGD(steps=2, restarts=1), Linf(0.05, (0.0, 1.0)))
    assert clone(FAST).set_params(defence=defence).fit(x, y).score(x, y) > 0.5


@pytest.mark.parametrize("model", ["reuploading", "hybrid", "mlp", "logistic"])
def test_other_models(model):
    x, y = load_iris(return_X_y=True)
    assert clone(FAST).set_params(model=model).fit(x, y).score(x, y) > 0.5
