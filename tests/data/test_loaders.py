"""Loaders of real data: exact counts, clean splits, strict parsing; files are never downloaded."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from cases import few
from robustq.data import finance, gtsrb, mnist, nsl_kdd, plus_minus, pneumonia_mnist, text, unsw_nb15, wall_robot
from robustq.data.catalogue import DATA, load
from robustq.data.files import VARIABLE, DataFile
from robustq.data.raw import RawData
from robustq.data.splits import split_together
from robustq.data.tables import encode, read_table
from robustq.errors import DataError


@dataclass(frozen=True)
class Facts:
    """What the publisher (or our split) says of a set: files, row shape, rows of each class."""

    files: tuple[DataFile, ...]
    shape: tuple[int, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]


_TEN = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
_TEN_TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
_SIGNS = (
    7,
    74,
    75,
    47,
    66,
    62,
    14,
    48,
    47,
    49,
    67,
    44,
    70,
    72,
    26,
    21,
    14,
    37,
    40,
    7,
    12,
    11,
    13,
    17,
    9,
    50,
    20,
    8,
    18,
    9,
    15,
    26,
    8,
    23,
    14,
    40,
    13,
    7,
    69,
    10,
    12,
    8,
    8,
)
_SIGNS_TEST = (
    8,
    58,
    77,
    37,
    65,
    65,
    16,
    51,
    52,
    47,
    78,
    43,
    67,
    79,
    23,
    25,
    14,
    32,
    41,
    9,
    3,
    11,
    14,
    10,
    5,
    52,
    23,
    9,
    13,
    14,
    17,
    26,
    9,
    21,
    9,
    44,
    13,
    8,
    49,
    7,
    4,
    7,
    8,
)
_KDD = (nsl_kdd.TRAIN, nsl_kdd.TEST)

FACTS = {
    "breast-cancer": Facts((), (30,), (170, 285), (42, 72)),
    "wine": Facts((), (13,), (47, 57, 38), (12, 14, 10)),
    "iris": Facts((), (4,), (40, 40, 40), (10, 10, 10)),
    "digits": Facts(
        (), (8, 8), (142, 146, 142, 146, 145, 145, 145, 143, 139, 144), (36, 36, 35, 37, 36, 37, 36, 36, 35, 36)
    ),
    "mnist": Facts(mnist.MNIST, (28, 28), _TEN, _TEN_TEST),
    "fashion-mnist": Facts(mnist.FASHION, (28, 28), (6000,) * 10, (1000,) * 10),
    "plus-minus": Facts((plus_minus.PLUS_MINUS,), (16, 16), (250,) * 4, (50,) * 4),
    "pneumonia-mnist": Facts((pneumonia_mnist.PNEUMONIA,), (28, 28), (1214, 3494), (234, 390)),
    "gtsrb": Facts((gtsrb.GTSRB,), (32, 32, 3), _SIGNS, _SIGNS_TEST),
    "nsl-kdd": Facts(_KDD, (118,), (13449, 11743), (9711, 12833)),
    "nsl-kdd-5": Facts(_KDD, (118,), (13449, 9234, 2289, 209, 11), (9711, 7458, 2421, 2754, 200)),
    "unsw-nb15": Facts((unsw_nb15.UNSW,), (182,), (27360, 15792), (6840, 3948)),
    "wall-robot": Facts((wall_robot.WALL_ROBOT,), (24,), (1784, 1766, 648, 167), (421, 331, 178, 161)),
    "credit-card": Facts((finance.CREDIT_CARD,), (29,), (378, 378), (95, 95)),
    "german-credit": Facts((finance.GERMAN,), (61,), (560, 240), (140, 60)),
    "banknote": Facts((finance.BANKNOTE,), (4,), (609, 488), (153, 122)),
    "bbc-news": Facts((text.BBC,), (), (408, 306, 334, 409, 328), (102, 80, 83, 102, 73)),
    "sst5": Facts((text.SST5,), (), (1092, 2218, 1624, 2322, 1288), (279, 633, 389, 510, 399)),
    "trec": Facts(text.TREC, (), (1162, 1250, 1223, 835, 896), (138, 94, 65, 81, 113)),
}
LARGE = {"mnist", "fashion-mnist", "nsl-kdd", "nsl-kdd-5", "unsw-nb15"}  # seconds to load


@lru_cache(maxsize=1)  # the tests of one set follow each other; all sets at once would fill memory
def raw_of(name: str) -> RawData:
    folder = os.environ.get(VARIABLE)
    for file in FACTS[name].files:
        if not folder:
            pytest.skip(f"{VARIABLE} is not set, and tests download nothing")
        if not (Path(folder) / file.path).is_file():
            pytest.skip(f"{VARIABLE} has no {file.path}, and tests download nothing")
    return load(name)


@pytest.fixture(scope="module", params=DATA)
def named(request: pytest.FixtureRequest) -> tuple[Facts, RawData]:
    """Every set of the catalogue; a set without a line in FACTS fails here."""
    return FACTS[request.param], raw_of(request.param)


def same_rows(raw: RawData) -> int:
    """How many test rows are also training rows."""
    seen = {row.tobytes() for row in raw.x_train}
    return sum(row.tobytes() in seen for row in raw.x_test)


def test_shapes_and_class_counts_are_exact(named: tuple[Facts, RawData]) -> None:
    facts, raw = named
    classes = len(raw.classes)
    assert raw.x_train.shape == (sum(facts.train), *facts.shape)
    assert raw.x_test.shape == (sum(facts.test), *facts.shape)
    assert tuple(np.bincount(raw.y_train, minlength=classes)) == facts.train
    assert tuple(np.bincount(raw.y_test, minlength=classes)) == facts.test
    assert raw.y_train.dtype == raw.y_test.dtype == np.int64


def test_values_fit_the_kind(named: tuple[Facts, RawData]) -> None:
    _, raw = named
    for x in (raw.x_train, raw.x_test):
        if raw.kind == "text":
            assert x.dtype == object
            assert all(isinstance(row, str) and row.strip() for row in x)
        else:
            assert x.dtype == np.float64
            assert np.isfinite(x).all()
        if raw.kind == "image":
            assert x.min() == 0.0
            assert 0.99 < x.max() <= 1.0


def test_names_and_provenance_are_complete(named: tuple[Facts, RawData]) -> None:
    _, raw = named
    assert DATA[raw.name].make.__doc__
    assert len(set(raw.classes)) == len(raw.classes)
    assert len(set(raw.features)) == len(raw.features)
    assert len(raw.features) == (raw.x_train.shape[1] if raw.kind == "tabular" else 0)
    assert all((raw.licence, raw.citation, raw.split))
    assert raw.groups is None or raw.groups.shape == raw.y_train.shape


@pytest.mark.parametrize("name", few(sorted(DATA, key=lambda name: name in LARGE), keep=len(DATA) - len(LARGE)))
def test_a_second_load_gives_the_same_content(name: str) -> None:
    assert raw_of(name).content_hash == load(name).content_hash


@pytest.mark.parametrize("name", few(["wall-robot", "credit-card", "german-credit", "banknote", "unsw-nb15"], keep=4))
def test_no_row_is_on_both_sides_where_the_split_is_ours(name: str) -> None:
    assert same_rows(raw_of(name)) == 0


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("german-credit", ("purpose", "housing", "job")),
        pytest.param("nsl-kdd", ("protocol_type", "service", "flag"), marks=pytest.mark.prove),
        pytest.param("unsw-nb15", ("proto", "service", "state"), marks=pytest.mark.prove),
    ],
)
def test_one_hot_columns_are_fitted_on_the_training_part(name: str, columns: tuple[str, ...]) -> None:
    raw = raw_of(name)
    for column in columns:
        hot = [k for k, feature in enumerate(raw.features) if feature.startswith(f"{column}=")]
        assert (raw.x_train[:, hot].sum(1) == 1).all()
        assert (raw.x_train[:, hot].sum(0) > 0).all()
        assert set(np.unique(raw.x_test[:, hot].sum(1))) <= {0.0, 1.0}


def test_nsl_kdd_service_seen_only_in_the_test_part_is_all_zeros() -> None:
    raw = raw_of("nsl-kdd")
    service = [k for k, feature in enumerate(raw.features) if feature.startswith("service=")]
    assert len(service) == 66
    assert "service=tftp_u" not in raw.features
    assert (raw.x_test[:, service].sum(1) == 0).sum() == 1
    assert "log1p(src_bytes)" in raw.features


@pytest.mark.prove
def test_nsl_kdd_binary_and_five_classes_agree() -> None:
    five, two = raw_of("nsl-kdd-5"), raw_of("nsl-kdd")
    assert np.array_equal(two.y_test, np.minimum(five.y_test, 1))
    assert np.array_equal(two.x_test, five.x_test)


@pytest.mark.prove
def test_unsw_keeps_each_feature_row_once_and_drops_the_leaks() -> None:
    raw = raw_of("unsw-nb15")
    assert len({row.tobytes() for row in raw.x_train}) == len(raw.x_train)
    assert {"id", "attack_cat", "label"}.isdisjoint(raw.features)


def test_wall_robot_groups_are_contiguous_blocks_of_training_rows() -> None:
    raw = raw_of("wall-robot")
    assert raw.groups is not None
    assert (np.diff(raw.groups) >= 0).all()
    assert set(raw.groups) == set(range(20)) - {4, 9, 14, 19}
    assert set(np.bincount(raw.groups)) == {0, 272, 273}


def test_groups_hold_the_copies_of_an_image_and_the_frames_of_a_sign() -> None:
    pneumonia = raw_of("pneumonia-mnist")
    assert pneumonia.groups is not None
    assert len(set(pneumonia.groups)) == 4690
    signs = raw_of("gtsrb")
    assert signs.groups is not None
    assert len(set(signs.groups)) == 1307


def test_text_sides_share_nothing_in_bbc_and_little_in_the_official_splits() -> None:
    shared = {}
    for name in ("bbc-news", "sst5", "trec"):
        raw = raw_of(name)
        seen = {" ".join(row.split()) for row in raw.x_train}
        shared[name] = sum(" ".join(row.split()) in seen for row in raw.x_test)
    assert shared == {"bbc-news": 0, "sst5": 2, "trec": 8}


def test_credit_card_has_no_time() -> None:
    assert raw_of("credit-card").features == (*(f"V{k}" for k in range(1, 29)), "Amount")


# What follows needs no data set.


def written(path: Path, content: bytes) -> Path:
    """A file with some content, compressed as its name says."""
    pack: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.compress, ".gz": gzip.compress}
    path.write_bytes(pack.get(path.suffix, bytes)(content))
    return path


def file_of(path: Path) -> DataFile:
    return DataFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def test_every_set_has_a_line_of_facts() -> None:
    assert FACTS.keys() == DATA.keys()


def test_checksums_are_whole_and_paths_relative() -> None:
    for file in (file for facts in FACTS.values() for file in facts.files):
        assert len(file.sha256) == 64
        assert not Path(file.path).is_absolute()


def test_a_file_is_found_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "some.csv", b"a,b\n1,2\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert file_of(path).fetch() == path


def test_a_wrong_checksum_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(written(tmp_path / "some.csv", b"a,b\n1,2\n"))
    written(tmp_path / "some.csv", b"a,b\n1,3\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"some\.csv: expected sha256"):
        file.fetch()


def test_a_missing_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DataError, match="it is not set"):
        DataFile("some.csv", "0" * 64).fetch()


def test_a_missing_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="has no such file"):
        DataFile("some.csv", "0" * 64).fetch()


@pytest.mark.parametrize("name", ["some.csv", "some.csv.xz"])
def test_a_table_is_read_with_or_without_a_header(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, b'\xef\xbb\xbfa,b\r\n1,"x, ""y""\nz"\r\n2,w\r\n')
    table = read_table(path)
    assert table.columns == ("a", "b")
    assert table.column("b") == ['x, "y"\nz', "w"]
    assert table.numbers("a").tolist() == [1.0, 2.0]
    assert table.lines == [3, 4]
    assert len(read_table(path, ("p", "q")).rows) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", r"some\.csv, line 3: expected 2 cells, got 1"),
        (b"a,b\n1,2\n3,4,5\n", r"some\.csv, line 3: expected 2 cells, got 3"),
        (b"a,b\n1,2\n\n3,4\n", r"some\.csv, line 3: expected 2 cells, got 0"),
        (b"a,b\n", "expected rows, got none"),
        (b"", "expected rows, got none"),
        (b'a,b\n1,"2', r"some\.csv, after line 1: expected a table"),
        (b"a,b\n1,\xff\n", r"some\.csv, after line 0: expected a table"),
    ],
)
def test_a_malformed_table_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path / "some.csv", content))


@pytest.mark.parametrize("cell", ["x", "", "nan", "inf"])
def test_a_cell_that_is_no_number_is_an_error(tmp_path: Path, cell: str) -> None:
    table = read_table(written(tmp_path / "some.csv", f"a,b\n1,2\n3,{cell}\n".encode()))
    with pytest.raises(DataError, match=r"some\.csv, line 3: expected a finite number in .*'b'"):
        table.matrix(("a", "b"))


def test_an_unknown_label_or_column_is_an_error(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "some.csv", b"a,b\n1,yes\n2,perhaps\n"))
    with pytest.raises(DataError, match=r"line 3: expected one of no, yes .*got 'perhaps'"):
        table.labels("b", {"no": 0, "yes": 1})
    with pytest.raises(DataError, match="expected a column 'c'"):
        table.column("c")


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "some.csv.xz"
    path.write_bytes(lzma.compress(b"a,b\n" * 100)[:-20])
    with pytest.raises(DataError, match="expected a table"):
        read_table(path)


def test_categories_come_from_the_training_rows_only(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "some.csv", b"a,b\n1,y\n2,x\n3,z\n"))
    x_train, x_test, features = encode(table.take([0, 1]), table.take([2]), ("a", "b"), ("b",))
    assert features == ("a", "b=x", "b=y")
    assert x_train.tolist() == [[1, 0, 1], [2, 1, 0]]
    assert x_test.tolist() == [[3, 0, 0]]


def test_copies_stay_on_one_side_of_our_split() -> None:
    rows = [k // 2 for k in range(200)]
    y = np.array([k % 2 for k in rows])
    train, test = split_together(rows, y)
    assert sorted(train + test) == list(range(200))
    assert len(test) == 40
    assert {rows[k] for k in train}.isdisjoint({rows[k] for k in test})


def test_an_idx_file_is_read(tmp_path: Path) -> None:
    head = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])
    array = mnist.read_idx(written(tmp_path / "some.gz", head + bytes(range(6))))
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        bytes([0, 0, 13, 1, 0, 0, 0, 1, 7]),
        bytes([0, 0, 8, 1, 0, 0, 0, 2, 7]),
        bytes([0, 0, 8, 3, 0, 0]),
    ],
)
def test_a_malformed_idx_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"some\.gz: expected"):
        mnist.read_idx(written(tmp_path / "some.gz", content))


def test_a_file_that_is_not_gzipped_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "some.gz"
    path.write_bytes(b"plain")
    with pytest.raises(DataError, match="expected a gzipped IDX file"):
        mnist.read_idx(path)


def test_questions_are_read_without_abbreviations(tmp_path: Path) -> None:
    content = b"HUM:ind Who is S\xedle ?\nABBR:exp What is UN ?\nLOC:city Where \x85 is it ?\n"
    texts, labels = text.read_questions(written(tmp_path / "some.label.xz", content))
    assert texts == ["Who is S\u00edle ?", "Where \u0085 is it ?"]
    assert labels.tolist() == [2, 3]


@pytest.mark.parametrize("line", [b"WHO:ind Who ?", b"HUM Who ?", b"HUM:ind", b""])
def test_a_malformed_question_is_an_error(tmp_path: Path, line: bytes) -> None:
    path = written(tmp_path / "some.label", b"HUM:ind Who ?\n" + line + b"\n")
    with pytest.raises(DataError, match=r"some\.label, line 2: expected 'CLASS:kind question'"):
        text.read_questions(path)
