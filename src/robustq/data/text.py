"""Text in five classes: BBC news, film reviews (SST-5), questions (TREC)."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustq.data.files import DataFile
from robustq.data.raw import RawData
from robustq.data.tables import Labels, Table, open_text, read_table
from robustq.errors import DataError

BBC = DataFile("nlp/bbc_news_5class.csv.xz", "b304f5c89ad2fdd58636d778313e446e1e9677e57f01235c05b35e72b7be720f")
SST5 = DataFile("nlp/sst5.csv.xz", "02922ea5ca0e821f82b66b1b06314cceb0add006924754a0e6df92c26540f971")
TREC = (
    DataFile("nlp/trec/train_5500.label.xz", "b863105b92f43abfa4958db27cba65180c9b98490ce29247975d1037af0291bc"),
    DataFile("nlp/trec/TREC_10.label.xz", "2c033c7b535161c221e968b4c1afd9ceb971a5ef230bcb985b91084569c0b15f"),
)

_SECTIONS = ("business", "entertainment", "politics", "sport", "tech")
_STARS = ("very negative", "negative", "neutral", "positive", "very positive")
_QUESTIONS = {"DESC": "description", "ENTY": "entity", "HUM": "human", "LOC": "location", "NUM": "number"}


def bbc_news() -> RawData:
    """BBC news: 1,785 / 440 articles, five sections, split by a column of the file."""
    table = read_table(BBC.fetch())
    numbers = {section: number for number, section in enumerate(_SECTIONS)}
    return _from_column(
        "bbc-news",
        table,
        numbers,
        _SECTIONS,
        licence="text (c) BBC, for research; do not publish the text",
        citation="Greene & Cunningham, ICML 2006",
        split="fixed in the file, since the set has no official one: 80/20, stratified, "
        "train_test_split(random_state=0), all copies of an article on one side",
    )


def sst5() -> RawData:
    """Stanford sentiment treebank: 8,544 / 2,210 sentences, five grades, official split."""
    table = read_table(SST5.fetch())
    numbers = {str(number): number for number in range(len(_STARS))}
    return _from_column(
        "sst5",
        table,
        numbers,
        _STARS,
        licence="none stated with the files; do not redistribute",
        citation="Socher et al., EMNLP 2013",
        split="official train and test; the official dev part (1,101) is left out, so that it is "
        "never fitted on; 2 sentences occur in both train and test",
    )


def _from_column(
    name: str,
    table: Table,
    numbers: dict[str, int],
    classes: tuple[str, ...],
    *,
    licence: str,
    citation: str,
    split: str,
) -> RawData:
    """The rows that the column ``split`` calls train and test."""
    part = table.labels("split", {"train": 0, "test": 1, "dev": 2})
    train, test = (table.take(np.flatnonzero(part == number)) for number in (0, 1))
    return RawData(
        name,
        "text",
        _texts(train.column("text")),
        train.labels("label", numbers),
        _texts(test.column("text")),
        test.labels("label", numbers),
        classes=classes,
        licence=licence,
        citation=citation,
        split=split,
        groups=_same(train.column("text")),
    )


def trec() -> RawData:
    """TREC questions: 5,366 / 491 in five classes, abbreviations dropped, official split."""
    (x_train, y_train), (x_test, y_test) = (read_questions(file.fetch()) for file in TREC)
    return RawData(
        "trec",
        "text",
        _texts(x_train),
        y_train,
        _texts(x_test),
        y_test,
        classes=tuple(_QUESTIONS.values()),
        licence="none stated with the files; do not redistribute",
        citation="Li & Roth, COLING 2002",
        split="official train (5,452) and test (500), less the class ABBR (86 and 9) to leave "
        "five; 8 test questions are also in train",
        groups=_same(x_train),
    )


def read_questions(path: Path) -> tuple[list[str], Labels]:
    """The questions of a TREC label file (``CLASS:kind question`` a line), without ABBR.

    Raises:
        DataError: if a line has another form or class; names file and line.
    """
    try:
        with open_text(path, "latin-1") as file:
            questions = [_question(line, f"{path}, line {k}") for k, line in enumerate(file, 1)]
    except (lzma.LZMAError, EOFError) as failure:
        raise DataError(f"{path}: expected questions, got {failure}") from failure
    labelled = [(text, coarse) for text, coarse in questions if coarse != "ABBR"]
    number = {coarse: number for number, coarse in enumerate(_QUESTIONS)}
    return [text for text, _ in labelled], np.array([number[coarse] for _, coarse in labelled], np.int64)


def _question(line: str, where: str) -> tuple[str, str]:
    """The question of a line and its coarse class."""
    label, _, text = line.strip().partition(" ")
    coarse, colon, _ = label.partition(":")
    if not colon or not text or coarse not in ("ABBR", *_QUESTIONS):
        classes = ", ".join(("ABBR", *_QUESTIONS))
        raise DataError(f"{where}: expected 'CLASS:kind question', CLASS of {classes}, got {line!r}")
    return text, coarse


def _texts(texts: Sequence[str]) -> NDArray[Any]:
    """An array of objects: of fixed width, every text would take the room of the longest."""
    return np.array(texts, dtype=object)


def _same(texts: Sequence[str]) -> NDArray[np.int64]:
    """A number for each text, equal for texts that are the same up to white space."""
    numbers: dict[str, int] = {}
    words = (" ".join(text.split()) for text in texts)
    return np.array([numbers.setdefault(text, len(numbers)) for text in words], np.int64)
