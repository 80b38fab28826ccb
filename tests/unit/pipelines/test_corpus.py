from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.corpus import CorpusSettings, corpus_identity, decide, document_id, git_blob_id, inspect_file, preference
from pipelines.dedup import Edge
from pipelines.sources import Source, SourceRead, SourceRecord
from quality.filters import Limits

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
    }


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


def test_settings_widen_and_narrow_what_is_kept() -> None:
    assert inspect_file(raw(), CorpusSettings(languages=("go",)))["reason"] == "other_language"
    assert "stage" not in inspect_file(raw(licenses=()), CorpusSettings(licenses=("permissive", "no_license")))
    tight = CorpusSettings(limits={"python": Limits(max_bytes=10)}, languages=("python", "go"))
    assert inspect_file(raw(), tight)["reason"] == "too_large"


def test_preference_goes_licence_then_kind_then_size_then_hash() -> None:
    order = [
        preference("permissive", "source", 200, "b", "1"),
        preference("permissive", "source", 100, "a", "2"),
        preference("permissive", "source", 100, "b", "3"),
        preference("permissive", "test", 900, "a", "4"),
        preference("permissive", "generated", 900, "a", "5"),
        preference("no_license", "source", 900, "a", "6"),
        preference("non_permissive", "source", 900, "a", "7"),
    ]
    assert order == sorted(order)


def inspected(name: str, language: str = "go", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "language": language,
        "repo_name": f"r{name}",
        "path": f"d{name}/x",
        "blob_id": f"b{name}",
        "length": 10,
        "stage": None,
        "reason": None,
        "detail": None,
        "preference": name,
        "exact_of": None,
        **more,
    }


def test_every_file_is_a_document_or_a_reject_and_chains_are_one_family() -> None:
    files = [
        inspected("a"),
        inspected("b"),
        inspected("c"),
        inspected("d", exact_of="b", blob_id="bb"),
        inspected("e", exact_of="a"),
        inspected("z", "rust"),
        inspected("y", "rust"),
        inspected("x", stage="filter", reason="syntax", detail="..."),
    ]
    edges = [Edge("a", "b", 0.8), Edge("b", "c", 0.9), Edge("c", "z", 0.75)]
    documents, clusters, rejects, _ = decide(files, edges, SETTINGS)
    assert {row["id"] for row in documents} == {"a", "c", "y", "z"}
    assert {row["id"]: (row["stage"], row["reason"], row["detail"]) for row in rejects} == {
        "x": ("filter", "syntax", "..."),
        "b": ("near", "near", "0.800 a"),
        "d": ("exact", "same_bytes", "b"),
        "e": ("exact", "same_text", "a"),
    }
    by_id = {row["id"]: row for row in clusters}
    assert set(by_id) == set("abcdezy")
    assert by_id["d"] == {"id": "d", "cluster": "a", "kept": False, "similarity": 0.8, "reason": "same_bytes"}
    assert (by_id["a"]["reason"], by_id["c"]["reason"], by_id["z"]["reason"]) == ("survivor", "unique", "unique")
    # c was near b, which went for a; z is c in another language: one family, on one side.
    family = {row["id"]: row["cluster"] for row in documents}
    assert family["a"] == family["c"] == family["z"] == "a"
    assert family["y"] == "y"
    assert len({row["split"] for row in documents if row["cluster"] == "a"}) == 1


def test_the_same_program_in_two_languages_is_kept_twice() -> None:
    documents, _, _, _ = decide([inspected("a"), inspected("b", "rust")], [Edge("a", "b", 1.0)], SETTINGS)
    assert [row["id"] for row in documents] == ["a", "b"]


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
    identity = corpus_identity([read], SETTINGS)
    assert "/home/me" not in str(identity)
    other = dataclasses.replace(read, record=dataclasses.replace(record, sha256="1" * 64))
    assert corpus_identity([other], SETTINGS) != identity
