"""A spec is one line: what it names, at which revision, and that no login gets from it into a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.sources import Source, is_remote_table, parse_spec, read_source, table_kind
from pipelines.sources.reading import without_login
from quality.mistakes import BadInput


@pytest.mark.parametrize(
    ("spec", "target", "version", "name"),
    [
        ("git+https://h.invalid/o/n@v1.2", "https://h.invalid/o/n", "v1.2", "git:o/n"),
        ("git+https://h.invalid/o/n@feature/x", "https://h.invalid/o/n", "feature/x", "git:o/n"),
        ("git+https://me:pw@h.invalid/o/n", "https://me:pw@h.invalid/o/n", "", "git:o/n"),
        ("git+https://me@h.invalid/o/n@main", "https://me@h.invalid/o/n", "main", "git:o/n"),
        ("git+git@h.invalid:o/n.git", "git@h.invalid:o/n.git", "", "git:o/n"),
        ("git+git@h.invalid:o/n.git@v1", "git@h.invalid:o/n.git", "v1", "git:o/n"),
        ("git+ssh://git@h.invalid/o/n@abc", "ssh://git@h.invalid/o/n", "abc", "git:o/n"),
    ],
)
def test_a_revision_stands_after_the_path_and_a_login_before_the_host(
    spec: str, target: str, version: str, name: str
) -> None:
    found = parse_spec(spec)
    assert (found.kind, found.target, found.version, found.name) == ("git", target, version, name)


@pytest.mark.parametrize("spec", ["git+", "git+@v1", "git+-x/y@v", "git+https://h.invalid/o/n@--upload-pack=x"])
def test_options_and_empty_places_are_no_repositories(spec: str) -> None:
    with pytest.raises(BadInput):
        parse_spec(spec)


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("s3a://bucket/stack/train", "parquet", "train"),
        ("hdfs://host:9000/stack/*.parquet", "parquet", "stack"),
        ("gs://bucket/rows.jsonl.gz", "jsonl", "rows"),
        ("abfss://c@a.invalid/x.parquet", "parquet", "x"),
    ],
)
def test_tables_elsewhere_are_for_spark(spec: str, kind: str, name: str) -> None:
    assert is_remote_table(spec)
    assert table_kind(spec) == kind
    assert (parse_spec(spec).kind, parse_spec(spec).target, parse_spec(spec).name) == (kind, spec, name)
    assert Source(spec=spec).label == name
    with pytest.raises(BadInput, match="Spark reads where it lies"):
        read_source(spec)


def test_other_addresses_and_paths_are_not(tmp_path: Path) -> None:
    assert not any(
        map(is_remote_table, (str(tmp_path), "git+https://h.invalid/o/n", "pypi:a==1", "s3a:/x", "file:///x"))
    )
    with pytest.raises(BadInput, match="s3a://"):
        parse_spec("https://h.invalid/a.parquet")


def test_logins_are_taken_out_of_what_is_kept_and_said() -> None:
    assert without_login("git+https://me:pw@h.invalid/o/n@v1") == "git+https://h.invalid/o/n@v1"
    assert without_login("git+git@h.invalid:o/n") == "git+git@h.invalid:o/n"
    assert without_login("https://h.invalid/a@b") == "https://h.invalid/a@b"


def test_a_folder_of_tables_is_a_dataset_and_of_anything_else_a_folder(tmp_path: Path) -> None:
    for names, kind in (
        (["a.parquet", "_SUCCESS", ".a.crc"], "parquet"),
        (["a.jsonl", "b.ndjson", "c.jsonl.gz"], "jsonl"),
        (["a.jsonl", "b.parquet"], "folder"),
        (["a.parquet", "z.py"], "folder"),
        (["deep/er/a.parquet"], "parquet"),
        ([], "folder"),
    ):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        root.mkdir()
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        assert parse_spec(str(root)).kind == kind, names


@pytest.mark.parametrize("pattern", ["[z-a]*.py", "[[a]*.py", "[]a]*.py", "a[", "[!]b]c"])
def test_odd_globs_match_or_are_refused_by_name(pattern: str) -> None:
    source = Source(spec="x", include=(pattern,))
    if pattern == "[z-a]*.py":
        with pytest.raises(BadInput, match="no glob"):
            source.chooses(["a.py"])
    else:
        assert source.chooses(["b/none"]) == []
    assert Source(spec="x", include=("[[a]*.py",)).chooses(["[b.py", "ab.py", "b.py"]) == ["[b.py", "ab.py"]
