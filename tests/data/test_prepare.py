"""Preparation: fitted on train only, inside the box, recorded, the same every time."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from robustq.data import RawData, load, prepare
from robustq.data.catalogue import DATA
from robustq.errors import DataError, SpecError

BUNDLED = [name for name, entry in DATA.items() if entry.source == "bundled"]


def raw(**change):
    base = {
        "name": "toy",
        "kind": "tabular",
        "x_train": np.arange(12.0).reshape(6, 2),
        "y_train": np.array([0, 1, 0, 1, 0, 1]),
        "x_test": np.array([[100.0, -5.0], [2.0, 3.0]]),
        "y_test": np.array([0, 1]),
        "classes": ("a", "b"),
        "licence": "-",
        "citation": "-",
        "split": "-",
    }
    return RawData(**(base | change))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_learnable_after_preparation(name):
    data = prepare(load(name), features=4 if name == "iris" else 16 if name == "digits" else 8)
    assert min(data.x_train.min(), data.x_test.min()) >= 0
    assert max(data.x_train.max(), data.x_test.max()) <= 1
    score = LogisticRegression(max_iter=2000).fit(data.x_train, data.y_train)
    assert score.score(data.x_test, data.y_test) > 0.8


@pytest.mark.parametrize("name", BUNDLED)
def test_no_test_row_is_a_training_row(name):
    data = load(name)
    seen = {row.tobytes() for row in data.x_train.reshape(len(data.x_train), -1)}
    assert not any(row.tobytes() in seen for row in data.x_test.reshape(len(data.x_test), -1))


def test_scaling_is_fitted_on_train_and_test_is_clipped():
    data = prepare(raw())
    np.testing.assert_allclose(data.x_train[:, 0], np.arange(6) / 5)
    np.testing.assert_allclose(data.x_test, [[1.0, 0.0], [0.2, 0.2]])
    assert data.record["test_values_clipped"] == 2


def test_pca_is_scikit_learns_on_train_alone():
    source = load("wine")
    data = prepare(source, reduction="pca", features=3)
    mean, std = source.x_train.mean(0), source.x_train.std(0)
    theirs = PCA(3).fit_transform((source.x_train - mean) / std)
    theirs = (theirs - theirs.min(0)) / (theirs.max(0) - theirs.min(0))
    same = np.minimum(abs(theirs - data.x_train).max(0), abs(1 - theirs - data.x_train).max(0))
    assert same.max() < 1e-9  # up to the sign of a component


def test_selection_keeps_the_telling_columns_and_skips_constant_ones():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = np.stack([rng.normal(size=40), y + 0.1 * rng.normal(size=40), np.ones(40)], axis=1)
    source = raw(x_train=x, y_train=y, x_test=x[:2], y_test=y[:2], features=("noise", "good", "flat"))
    assert prepare(source, reduction="select", features=1).features == ("good",)


def test_images_are_area_averaged():
    image = np.zeros((2, 4, 4))
    image[0, :2, :2] = 1
    source = raw(kind="image", x_train=image, y_train=np.array([0, 1]), x_test=image, y_test=np.array([0, 1]))
    data = prepare(source, features=4)
    np.testing.assert_allclose(data.x_train, [[1, 0, 0, 0], [0, 0, 0, 0]])
    assert data.image_shape == (2, 2)


def test_text_becomes_columns():
    words = np.array(["good film", "bad film", "good plot", "bad plot"], dtype=object)
    source = raw(kind="text", x_train=words, y_train=np.array([0, 1, 0, 1]), x_test=words[:2])
    data = prepare(source, features=2)
    assert data.x_train.shape == (4, 2)
    assert data.record["reduction"] == "svd"


def test_subsamples_are_stratified_seeded_and_ordered():
    source = load("digits")
    a, b = (prepare(source, train_size=200, test_size=50, seed=1) for _ in range(2))
    other = prepare(source, train_size=200, test_size=50, seed=2)
    np.testing.assert_array_equal(a.x_train, b.x_train)
    assert a.record["prepared_sha256"] == b.record["prepared_sha256"]
    assert other.record["prepared_sha256"] != a.record["prepared_sha256"]
    assert np.bincount(a.y_train).min() >= 18
    assert len(a.y_test) == 50


def test_subsamples_keep_a_few_of_every_class():
    y = np.array([0] * 900 + [1] * 95 + [2] * 5)
    source = raw(x_train=np.arange(1000.0)[:, None], y_train=y, classes=("a", "b", "c"), x_test=np.zeros((2, 1)))
    counts = np.bincount(prepare(source, train_size=100).y_train)
    assert counts.tolist() == [86, 9, 5]
    assert np.bincount(prepare(source, train_size=3).y_train).tolist() == [1, 1, 1]


def test_only_relabels_in_the_order_given():
    pair = load("digits").only(("5", "3"))
    assert pair.classes == ("5", "3")
    assert set(pair.y_train) == {0, 1}
    original = load("digits")
    assert (pair.y_train == 0).sum() == (original.y_train == 5).sum()


def test_content_hash_sees_every_change():
    base = raw()
    assert base.content_hash == raw().content_hash
    changed = base.x_test.copy()
    changed[0, 0] += 1e-9
    assert raw(x_test=changed).content_hash != base.content_hash
    assert raw(classes=("a", "c")).content_hash != base.content_hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.full((6, 2), np.nan)}, "NaN or infinity in row 0"),
        ({"x_train": np.zeros((6, 2), int)}, "floating-point features"),
        ({"y_train": np.zeros(5, int)}, "as many labels as rows, got 5 and 6"),
        ({"y_train": np.full(6, 2)}, r"labels in 0\.\.1, got 2\.\.2"),
        ({"y_train": np.zeros(6)}, "integer labels"),
        ({"kind": "audio"}, "unknown kind of data 'audio'"),
    ],
)
def test_malformed_data_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        raw(**change)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reduction": "pcaa"}, SpecError, "did you mean 'pca'"),
        ({"reduction": "pca", "features": 3}, DataError, r"features in 1\.\.2, got 3"),
        ({"reduction": "resize", "features": 4}, DataError, "expected an image"),
        ({"reduction": "svd", "features": 2}, DataError, "svd' for text and only there"),
        ({"reduction": "none", "features": 1}, DataError, "features = 2, got 1"),
        ({"train_size": 1}, DataError, "train_size >= 2"),
    ],
)
def test_impossible_preparations_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        prepare(raw(), **options)


def test_classes_must_exist_and_differ():
    with pytest.raises(SpecError, match="unknown class of toy 'z'"):
        raw().only(("a", "z"))
    with pytest.raises(DataError, match="two different classes"):
        raw().only(("a", "a"))


def test_images_outside_the_unit_range_are_refused():
    image = np.full((2, 4, 4), 2.0)
    source = raw(kind="image", x_train=image, y_train=np.array([0, 1]), x_test=image)
    with pytest.raises(DataError, match=r"pixels in \[0, 1\]"):
        prepare(source, features=4)
