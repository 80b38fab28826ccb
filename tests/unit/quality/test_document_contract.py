from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from quality.contracts import run_contract
from quality.documents import DOCUMENT_SCHEMA, checkable, document_contract, with_cluster_splits


def document(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "text": f"x = {number}\n",
        "repo_name": "r",
        "revision_id": "",
        "path": f"p{number}",
        "blob_id": f"{number:040x}",
        "length": 6,
        "src_encoding": "utf-8",
        "is_vendor": False,
        "is_generated": False,
        "detected_licenses": ["MIT"],
        "license_type": "permissive",
        "error_ratio": 0.0,
        "cluster": f"{number:032x}",
        **more,
    }


IN_FILE = pa.schema([field for field in DOCUMENT_SCHEMA if field.name not in ("language", "split")])


def failures(*files: tuple[str, str, list[dict[str, Any]]], expected: int | None = None) -> dict[str, list[str]]:
    tables = [checkable(pa.Table.from_pylist(rows, IN_FILE), language, split) for language, split, rows in files]
    table = with_cluster_splits(pa.concat_tables(tables))
    contract = document_contract(["go", "python"], ["permissive"], table.num_rows if expected is None else expected)
    rows = run_contract(contract, table).to_pylist()
    return {f"{row['expectation']} {row['arguments']}": row["examples"] for row in rows if not row["success"]}


def test_a_sound_corpus_holds() -> None:
    assert failures(("go", "train", [document(1), document(2)]), ("python", "validation", [document(3)])) == {}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([("go", "train", [document(1), document(1, blob_id="b", text="y")])], '"column": "id"'),
        ([("go", "train", [document(1), document(2, blob_id=f"{1:040x}")])], '"column": "blob_id"'),
        ([("go", "train", [document(1, text="a \r\n"), document(2, text="a\n")])], '"column": "text_hash"'),
        ([("cobol", "train", [document(1)])], '"column": "language"'),
        ([("go", "test", [document(1)])], '"column": "split"'),
        ([("go", "train", [document(1)]), ("python", "validation", [document(2, cluster="0" * 31 + "1")])], "splits"),
        ([("go", "train", [document(1, license_type="no_license")])], '"column": "license_type"'),
        ([("go", "train", [document(1, length=0)])], '"column": "length"'),
        ([("go", "train", [document(1, text="")])], '"column": "characters"'),
        ([("go", "train", [document(1, id="short")])], "match_regex"),
        ([("go", "train", [document(1, error_ratio=1.5)])], '"column": "error_ratio"'),
    ],
)  # fmt: skip
def test_each_fault_breaks_its_own_expectation_and_names_its_rows(files: list[Any], named: str) -> None:
    found = failures(*files)
    assert len(found) == 1
    ((expectation, examples),) = found.items()
    assert named in expectation
    assert "path=p" in examples[0]


def test_a_lost_document_is_noticed() -> None:
    assert list(failures(("go", "train", [document(1)]), expected=2)) == [
        'expect_table_row_count_to_equal {"value": 2}'
    ]
