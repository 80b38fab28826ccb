from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.dedup import dedup
from pipelines.text_tables import open_texts
from quality.mistakes import BadInput


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"id": "a", "body": "x"}, {"id": "a", "body": "y"}], ["id: not unique: 'a' (2", "text: no such column"]),
        ([{"id": "a", "text": None}, {"id": None, "text": "y"}], ["id: null in row 2", "text: null in row 1"]),
        ([{"id": 1.5, "text": 3}], ["id: is double", "text: is int64"]),
    ],
)  # fmt: skip
def test_all_mistakes_of_a_table_are_listed_and_nothing_is_left(
    tmp_path: Path, rows: list[dict[str, object]], expected: list[str]
) -> None:
    with pytest.raises(BadInput) as wrong:
        dedup(jsonl(tmp_path / "in.jsonl", rows), tmp_path / "out")
    assert len(wrong.value.mistakes) == len(expected)
    for mistake, text in zip(wrong.value.mistakes, expected, strict=True):
        assert text in str(mistake)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.jsonl", None, "no such file"),
        ("a.jsonl", b'{"id": "a"}\n{"id', "cannot be read"),
        ("a.jsonl", b"", "cannot be read"),
        ("a.parquet", b"PAR1 cut short", "cannot be read"),
        ("a.csv", b"id,text\n", "Parquet or JSON Lines"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes | None, expected: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=expected):
        dedup(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_batches_come_in_the_order_of_rows_from_files_of_several_row_groups(tmp_path: Path) -> None:
    for part in range(3):
        table = pa.table({"id": range(part * 50, part * 50 + 50), "text": ["x"] * 50})
        pq.write_table(table, tmp_path / f"{part}.parquet", row_group_size=7)
    source = open_texts(tmp_path)
    assert source.rows == 150
    assert [one for batch in source.batches(["id"]) for one in batch["id"].to_pylist()] == list(range(150))


def test_a_text_of_many_megabytes_is_read_from_json_lines(tmp_path: Path) -> None:
    source = open_texts(jsonl(tmp_path / "in.jsonl", [{"id": "a", "text": "x y " * 500_000}]))
    assert [len(one) for batch in source.batches(["text"]) for one in batch["text"].to_pylist()] == [2_000_000]


def test_files_that_are_not_tables_are_passed_over_in_a_folder(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), tmp_path / "a.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "README.md").write_text("what this is")
    assert open_texts(tmp_path).rows == 1


def test_files_and_row_groups_may_be_empty(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    pq.write_table(schema.empty_table(), tmp_path / "0.parquet")
    with pq.ParquetWriter(tmp_path / "1.parquet", schema) as writer:
        for ids in ([], ["a"], [], ["b"]):
            writer.write_table(pa.table({"id": ids, "text": ids}, schema))
    assert dedup(tmp_path, tmp_path.with_suffix(".out"))["kept"] == 2
