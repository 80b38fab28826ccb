from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from quality.contracts import run_contract
from quality.documents import (
    DOCUMENT_SCHEMA,
    account_contract,
    checkable,
    document_contract,
    document_id,
    folder_contract,
    git_blob_id,
    reject_contract,
)
from quality.text_hash import normalised_hash


def document(number: int, **more: Any) -> dict[str, Any]:
    text = more.get("text", f"x = {number}\n")
    blob = more.get("blob_id", f"{number:040x}")
    identifier = more.get("id", document_id("r", f"p{number}", blob))
    return {
        "id": identifier,
        "text": text,
        "text_hash": normalised_hash(text),
        "content_id": git_blob_id(text.encode()),
        "kind": "source",
        "dialect": "",
        "redactions": [],
        "repo_name": "r",
        "revision_id": "",
        "path": f"p{number}",
        "blob_id": blob,
        "length": 6,
        "src_encoding": "utf-8",
        "is_vendor": False,
        "is_generated": False,
        "detected_licenses": ["MIT"],
        "license_type": "permissive",
        "error_ratio": 0.0,
        "cluster": identifier,
        **more,
    }


SPAN = {"start": 1, "end": 99, "kind": "email", "detector": "polymix", "length": 98}


def failures(*files: tuple[str, str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    documents = [{**row, "language": language, "split": split} for language, split, rows in files for row in rows]
    rows = checkable(pa.Table.from_pylist(documents, DOCUMENT_SCHEMA)).to_pylist()
    for column in ("id", "blob_id", "text_hash"):
        times = Counter(row[column] for row in rows)
        rows = [row | {f"{column}_times": times[row[column]]} for row in rows]
    sides = {row["cluster"]: {other["split"] for other in rows if other["cluster"] == row["cluster"]} for row in rows}
    table = pa.Table.from_pylist([row | {"cluster_splits": len(sides[row["cluster"]])} for row in rows])
    results = run_contract(document_contract(["go", "python"], ["permissive"], ["source"]), table).to_pylist()
    return {f"{row['expectation']} {row['arguments']}": row["examples"] for row in results if not row["success"]}


def test_a_sound_corpus_holds() -> None:
    assert failures(("go", "train", [document(1), document(2)]), ("python", "validation", [document(3)])) == {}


FIRST = document(1)["id"]


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([("go", "train", [document(1), document(2, id=FIRST)])], '"column": "id_times"'),
        ([("go", "train", [document(1), document(2, blob_id=f"{1:040x}")])], '"column": "blob_id_times"'),
        ([("go", "train", [document(1, text="a \r\n"), document(2, text="a\n")])], '"column": "text_hash_times"'),
        ([("go", "train", [document(1, text_hash="0" * 64)])], "stated_hash"),
        ([("cobol", "train", [document(1)])], '"column": "language"'),
        ([("go", "test", [document(1)])], '"column": "split"'),
        ([("go", "train", [document(1)]), ("python", "validation", [document(2, cluster=FIRST)])], "splits"),
        ([("go", "train", [document(1, license_type="no_license", detected_licenses=[])])], '"license_type"'),
        ([("go", "train", [document(1, detected_licenses=["GPL-3.0-only"])])], "own_license"),
        ([("go", "train", [document(1, content_id="0" * 40)])], "own_content"),
        ([("go", "train", [document(1, path="moved/p1")])], "own_id"),
        ([("go", "train", [document(1, kind="minified")])], '"column": "kind"'),
        ([("go", "train", [document(1, redactions=[SPAN])])], "redacted_to"),
        ([("go", "train", [document(1, length=0)])], '"column": "length"'),
        ([("go", "train", [document(1, text="")])], '"column": "characters"'),
        ([("go", "train", [document(1, id="short")])], "match_regex"),
        ([("go", "train", [document(1, error_ratio=1.5)])], '"column": "error_ratio"'),
    ],
)  # fmt: skip
def test_each_fault_breaks_its_own_expectation_and_names_its_rows(files: list[Any], named: str) -> None:
    found = failures(*files)
    (examples,) = [examples for expectation, examples in found.items() if named in expectation]
    assert "path=" in examples[0]
    # An id that is made up is not that of its path and content either.
    assert [one for one in found if named not in one and "own_id" not in one] == []


def test_a_lost_document_is_noticed() -> None:
    rows = [{"language": "go", "split": "train", "decided": 2, "written": 1}]
    (failed,) = [
        row for row in run_contract(folder_contract(), pa.Table.from_pylist(rows)).to_pylist() if not row["success"]
    ]
    assert failed["expectation"] == "expect_column_pair_values_to_be_equal"
    assert "language=go" in failed["examples"][0]


def test_a_lost_reject_or_cluster_is_noticed() -> None:
    good = {"files_seen": 9, "accounted": 9, "compared": 5, "clustered": 5, "measured": 7, "signals": 7}
    assert all(run_contract(account_contract(), pa.Table.from_pylist([good]))["success"].to_pylist())
    for lost in ("accounted", "clustered", "signals"):
        results = run_contract(account_contract(), pa.Table.from_pylist([good | {lost: good[lost] - 1}])).to_pylist()
        assert [lost in row["arguments"] for row in results if not row["success"]] == [True]


def test_a_reject_says_where_and_why() -> None:
    row = {"repo_name": "r", "path": "p", "stage": "filter", "reason": "syntax", "detail": "0.2 > 0.1", "length": 3}
    assert all(run_contract(reject_contract(), pa.Table.from_pylist([row]))["success"].to_pylist())
    for name, wrong in (("stage", "somewhere"), ("reason", ""), ("length", -1)):
        results = run_contract(reject_contract(), pa.Table.from_pylist([row | {name: wrong}])).to_pylist()
        assert [name in one["arguments"] for one in results if not one["success"]] == [True]
