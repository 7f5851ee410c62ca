"""What benches have in common: the document, the spread, the table, the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.bench.document import Document, DocumentError
from monitor.bench.machine import machine
from monitor.bench.spread import Spread
from monitor.bench.table import Column, table


def test_a_document_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = Document.of("stages", {"size": 64}, [{"stage": "read", "wall_us": 1.5}], ["a note"])
    path = made.write(tmp_path / "new")
    assert path == tmp_path / "new" / "stages.json"
    assert Document.read(path) == made
    assert made.machine["versions"]["torch"] and made.machine["cores"] >= 1 and made.machine["processor"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"part": 1}', "null"])
def test_a_file_of_another_kind_is_told_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=r"other\.json: not written by `linewatch bench`"):
        Document.read(path)
    with pytest.raises(DocumentError, match=r"absent\.json: No such file"):
        Document.read(tmp_path / "absent.json")


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Document.of("stages", {}, [{"wall_us": float("nan")}]).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_machine_can_be_written() -> None:
    told = machine()
    assert json.loads(json.dumps(told)) == told


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_a_spread_holds_every_run(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.least <= spread.median <= spread.greatest and spread.runs == len(values)
    assert set(spread.to_dict()) == {"least", "median", "greatest", "runs"}


def test_a_spread_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="no run"):
        Spread.of([])


def test_a_table_lines_up() -> None:
    rows = [{"stage": "read", "us": 1.26}, {"stage": "decode", "us": None}]
    made = table(rows, [Column("stage", "stage"), Column("us", "a frame", ".1f", "µs")])
    assert made.splitlines() == ["stage   a frame", "read     1.3 µs", "decode        –"]
