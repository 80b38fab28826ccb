from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.corpus import corpus_identity
from pipelines.corpus_settings import CorpusSettings
from pipelines.inspection import INSPECTED_SCHEMA, Inspection, inspect_batches, preference
from pipelines.inspection import inspect_file as inspect_one
from pipelines.sources import Source, SourceRead, SourceRecord
from pipelines.staging import RAW_SCHEMA
from quality.documents import document_id, git_blob_id
from quality.filters import Limits
from quality.provenance import Provenance

SETTINGS = CorpusSettings()
PYTHON = b"def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return a\n"


def raw(path: str = "src/a.py", data: bytes = PYTHON, licenses: tuple[str, ...] = ("MIT",)) -> dict[str, Any]:
    blob = git_blob_id(data)
    return {
        "id": document_id("r", path, blob),
        "blob_id": blob,
        "repo_name": "r",
        "revision_id": "1",
        "path": path,
        "data": data,
        "licenses": list(licenses),
        **Provenance().row(),
    }


def inspect_file(file: dict[str, Any], settings: CorpusSettings) -> dict[str, Any]:
    return inspect_one(file, Inspection(settings))


def test_a_good_file_is_described_in_full() -> None:
    row = inspect_file(raw(), SETTINGS)
    assert "stage" not in row
    assert row["language"] == "python"
    assert row["text"] == PYTHON.decode()
    assert row["license_type"] == "permissive"
    assert row["error_ratio"] == 0
    assert row["length"] == len(PYTHON)


def test_blob_id_is_gits() -> None:
    # `printf 'hello\n' | git hash-object --stdin`
    assert git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize(
    ("file", "stage", "reason"),
    [
        (raw("notes.md", b"# hello\n\nSome words.\n"), "classify", "text"),
        (raw("a.py", b""), "classify", "empty"),
        (raw("a.py", b"\x00\x01\x02\xff" * 50), "classify", "binary"),
        (raw("a.py", b"  \n\n \n"), "classify", "empty"),
        (raw("a.py", PYTHON + b"print 'x', gcd(4, 2)\n"), "classify", "python2"),
        (raw("a.py", PYTHON + b"# \xff\xfe\x81\xd0\xcf\n"), "quarantine", "undecodable"),
        (raw("node_modules/x/a.js", b"var a = 1;\n"), "classify", "vendored"),
        (raw("a.py", PYTHON + b"x = '" + b"a b " * 300 + b"'\n" + PYTHON * 9), "filter", "long_line"),
        (raw("a.py", b"x = 1\n" * 200_000), "filter", "too_large"),
        (raw("a.py", b"# only words\n" * 5), "filter", "comments_only"),
        (raw(licenses=()), "licence", "no_license"),
        (raw(licenses=("GPL-3.0-only",)), "licence", "non_permissive"),
        (raw(data=b"# SPDX-License-Identifier: GPL-2.0-only\n" + PYTHON), "licence", "non_permissive"),
    ],
)
def test_what_is_not_kept_says_where_and_why(file: dict[str, Any], stage: str, reason: str) -> None:
    row = inspect_file(file, SETTINGS)
    assert (row["stage"], row["reason"]) == (stage, reason)
    assert row["detail"]
    assert "text" not in row


def test_a_dialect_is_kept_where_it_is_asked_for() -> None:
    old = raw("a.py", PYTHON + b"print 'x', gcd(4, 2)\n")
    assert inspect_file(old, CorpusSettings(dialects=("python2",)))["dialect"] == "python2"
    with pytest.raises(ValidationError, match="python2"):
        CorpusSettings(dialects=("python4",))


def test_settings_widen_and_narrow_what_is_kept() -> None:
    assert inspect_file(raw(), CorpusSettings(languages=("go",)))["reason"] == "other_language"
    assert "stage" not in inspect_file(raw(licenses=()), CorpusSettings(licenses=("permissive", "no_license")))
    tight = CorpusSettings(limits={"python": Limits(max_bytes=10)}, languages=("python", "go"))
    assert inspect_file(raw(), tight)["reason"] == "too_large"


def test_preference_goes_licence_then_rank_then_kind_then_age_then_hash() -> None:
    old, new = datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    one, two = "1" * 40, "2" * 40
    order = [
        preference("permissive", 9, "test", None, two, "0" * 32),
        preference("permissive", 8, "source", new, two, "0" * 32),
        preference("permissive", 8, "source", old, one, "0" * 32),
        preference("permissive", 8, "source", old, two, "0" * 32),
        preference("permissive", 8, "source", old, two, "f" * 32),
        preference("permissive", 8, "source", None, one, "0" * 32),
        preference("permissive", 8, "test", new, one, "0" * 32),
        preference("permissive", 8, "generated", new, one, "0" * 32),
        preference("permissive", 0, "source", new, one, "0" * 32),
        preference("permissive", None, "source", new, one, "0" * 32),
        preference("no_license", 99, "source", new, one, "0" * 32),
        preference("non_permissive", 99, "source", new, one, "0" * 32),
    ]
    assert order == sorted(order)
    assert {len(one) for one in order} == {54}


def test_signals_are_kept_whatever_the_limits_say() -> None:
    good, bad = inspect_file(raw(), SETTINGS), inspect_file(raw("a.py", b"# only words\n" * 5), SETTINGS)
    assert good["signals"]["nodes"] > 10
    assert bad["reason"] == "comments_only"
    assert bad["signals"]["comment_ratio"] == 1
    assert bad["signals"]["longest_line"] == len("# only words")


def test_what_is_personal_is_taken_out_and_the_raw_file_still_known() -> None:
    address = "jane.doe" + "@" + "corporation.org"
    data = f"# {address}\n".encode() + PYTHON
    row = inspect_file(raw(data=data), SETTINGS)
    assert address not in row["text"]
    (span,) = row["redactions"]
    assert span["kind"] == "email"
    assert row["text"][span["start"] : span["end"]].endswith("@example.com")
    assert row["blob_id"] == git_blob_id(data) != row["content_id"] == git_blob_id(row["text"].encode())


def test_every_row_that_goes_in_comes_out_once_and_in_order() -> None:
    files = [raw(f"a{n}.py", PYTHON + b"# %d\n" % n) for n in range(5)] + [raw("b.bin", bytes(9)), raw("c.py", b"")]
    batch = pa.RecordBatch.from_pylist(files, RAW_SCHEMA)
    whole = pa.Table.from_batches(inspect_batches([batch], Inspection(SETTINGS)))
    parts = pa.Table.from_batches(inspect_batches([batch.slice(0, 3), batch.slice(3)], Inspection(SETTINGS)))
    assert whole.schema == INSPECTED_SCHEMA
    assert whole["path"].to_pylist() == [file["path"] for file in files]
    assert whole.equals(parts)
    rows = whole.to_pylist()
    assert all((row["stage"] is None) == (row["text"] is not None) == bool(row["buckets"]) for row in rows)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"languages": ["cobol"]}, "cobol"),
        ({"limits": {"cobol": {}}}, "cobol"),
        ({"validation_share": 0.9}, "validation_share"),
        ({"licenses": ["free"]}, "licenses"),
        ({"seeds": 1}, "seeds"),
        ({"languages": []}, "languages"),
    ],
)
def test_settings_refuse_what_they_do_not_know(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        CorpusSettings.model_validate(wrong)


def test_settings_can_be_sent_to_workers_and_written() -> None:
    assert pickle.loads(pickle.dumps(SETTINGS)) == SETTINGS
    assert CorpusSettings.model_validate(SETTINGS.model_dump(mode="json")) == SETTINGS


def test_identity_holds_content_and_no_paths() -> None:
    record = SourceRecord("n", "/home/me/src", "", "0" * 64, ("MIT",), 1, 2)
    read = SourceRead(record, Source(spec="/home/me/src"), (), "folder")
    identity = corpus_identity([read], [], SETTINGS)
    assert "/home/me" not in str(identity)
    other = dataclasses.replace(read, record=dataclasses.replace(record, sha256="1" * 64))
    assert corpus_identity([other], [], SETTINGS) != identity
