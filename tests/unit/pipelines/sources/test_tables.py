"""A row becomes the same file whether it is JSON or Arrow, here or under Spark, and keeps what it states of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.archives import BrokenArchive, Skipped
from pipelines.sources import RawFile, files_of_batches, read_source, table_columns
from pipelines.sources.tables import STATED_PERMISSIVE, STATED_RESTRICTED, files_of_row
from quality.provenance import Provenance

V1 = {
    "content": "package a\n",
    "max_stars_repo_path": "a.go",
    "max_stars_repo_name": "o/r",
    "max_stars_repo_head_hexsha": "abc",
    "max_stars_repo_licenses": ["Apache-2.0"],
    "max_stars_count": 7,
    "max_forks_repo_name": "o/r",
    "max_forks_count": 3,
}
V2 = {
    "blob_id": "b",
    "content": "x = 1\n",
    "path": "/src/x.py",
    "repo_name": "o/two",
    "repo_url": "https://me:secret@host.invalid/o/two",
    "snapshot_id": "s1",
    "revision_id": "r2",
    "branch_name": "refs/heads/main",
    "visit_date": datetime(2023, 8, 1, 12, tzinfo=UTC),
    "revision_date": datetime(2020, 1, 2, 3, tzinfo=UTC),
    "committer_date": datetime(2020, 1, 3, tzinfo=UTC),
    "star_events_count": 12,
    "fork_events_count": 4,
    "gha_license_id": "MIT",
    "detected_licenses": [],
    "license_type": "permissive",
    "language": "Python",
}
V3 = {
    "repo_path": "o/three",
    "repo_id": 5,
    "commit_id": "c3",
    "github_metadata": {"branch": "main", "stars": 100, "forks": 9, "is_fork": False},
    "num_files": 3,
    "files": [
        {"content_id": "1", "content": "fn a() {}\n", "path": "a.rs", "detected_licenses": ["MIT"], "license_type": ""},
        {"content_id": "2", "content": None, "path": "gone.rs", "detected_licenses": [], "license_type": "no_license"},
        {"content_id": "3", "content": "fn b() {}\n", "path": "b.rs", "detected_licenses": [], "license_type": ""},
    ],
}


def arrow(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


def of_arrow(rows: list[dict[str, Any]]) -> list[RawFile | Skipped]:
    return list(files_of_batches(arrow(rows).to_batches()))


def test_the_stack_v1() -> None:
    (file,) = of_arrow([V1])
    assert file == RawFile(
        *("o/r", "abc", "a.go", b"package a\n", ("Apache-2.0",)),
        Provenance(star_events_count=7, fork_events_count=3),
    )


def test_the_forks_of_another_repository_are_not_this_one_s() -> None:
    (file,) = of_arrow([V1 | {"max_forks_repo_name": "else/where"}])
    assert isinstance(file, RawFile)
    assert (file.provenance.star_events_count, file.provenance.fork_events_count) == (7, None)


def test_the_stack_v2() -> None:
    (file,) = of_arrow([V2])
    assert isinstance(file, RawFile)
    assert (file.repo_name, file.revision_id, file.path, file.licenses) == ("o/two", "r2", "src/x.py", ("MIT",))
    assert file.provenance == Provenance(
        **{name: V2[name] for name in Provenance().row() if name != "repo_url"},  # type: ignore[arg-type]
        repo_url="https://host.invalid/o/two",
    )


def test_the_stack_v3_is_a_repository_a_row() -> None:
    first, gone, second = of_arrow([V3])
    assert gone == Skipped("gone.rs", 0, "no_content", "o/three")
    of_repository = Provenance(branch_name="main", star_events_count=100, fork_events_count=9)
    assert first == RawFile("o/three", "c3", "a.rs", b"fn a() {}\n", ("MIT",), of_repository)
    assert second == RawFile("o/three", "c3", "b.rs", b"fn b() {}\n", (), of_repository)


def test_a_repository_without_files_and_a_file_that_is_null_are_no_harm() -> None:
    files = V3["files"]
    assert isinstance(files, list)
    rows = [V3, V3 | {"files": None}, V3 | {"files": []}, V3 | {"files": [None, files[0]]}]
    batch = arrow(rows).to_batches()[0].slice(1)
    assert [file.path for file in files_of_batches([batch])] == [":3#0", "a.rs"]


@pytest.mark.parametrize("row", [V1, V2, V3])
def test_json_parquet_and_batches_of_any_size_give_the_same_files(row: dict[str, Any], tmp_path: Path) -> None:
    table = arrow([row] * 20)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=7)
    lines = [json.dumps(row, default=str) + "\n"] * 20
    (tmp_path / "t.jsonl").write_text("".join(lines))
    expected = of_arrow([row] * 20)
    for name in ("t.parquet", "t.jsonl"):
        read = read_source(str(tmp_path / name))
        assert list(read.files()) == [file for file in expected if isinstance(file, RawFile)]
        assert list(read.skipped) == [file for file in expected if isinstance(file, Skipped)]
    assert list(files_of_batches(table.to_batches(max_chunksize=3))) == expected
    chosen = table.select(table_columns(table.schema).needed)
    assert list(files_of_batches(chosen.to_batches())) == expected


def test_columns_are_told_by_name_and_type() -> None:
    schema = pa.schema(
        [
            ("content", pa.int64()),
            ("text", pa.large_string()),
            ("path", pa.string()),
            ("stars", pa.int32()),
            ("noise", pa.string()),
            ("github_metadata", pa.struct([("stars", pa.int64())])),
        ]
    )
    found = table_columns(schema)
    assert found.needed == ("text", "path", "stars", "github_metadata")
    assert found.meanings["content"] == ("text",)
    assert found.meanings["star_events_count"] == ("github_metadata.stars", "stars")
    assert not found.nested
    nested = table_columns(arrow([V3]).schema)
    assert nested.nested
    assert nested.meanings["content"] == ("files.content",)
    assert nested.needed == ("repo_path", "commit_id", "github_metadata", "files")
    for bad in ([("content", pa.int64())], [("files", pa.list_(pa.string()))], [("sha", pa.string())]):
        with pytest.raises(BrokenArchive, match="none of the columns content"):
            table_columns(pa.schema(bad))


def test_text_in_any_arrow_type() -> None:
    for kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string())):
        column = pa.array(["x = 1\n", "x = 1\n", None]).cast(kind)
        batch = pa.record_batch({"content": column, "path": pa.array(["a.py", "b.py", "c.py"]).cast(kind)})
        first, second, third = files_of_batches([batch])
        assert [first.path, second.path, third.path] == ["a.py", "b.py", "c.py"]
        assert isinstance(first, RawFile)
        assert first.data == b"x = 1\n"
        assert third == Skipped("c.py", 0, "no_content")


def test_a_row_without_a_path_is_called_the_same_wherever_it_stands() -> None:
    rows = [{"content": f"x = {n}\n", "language": "Python"} for n in range(5)]
    names = {file.path for file in of_arrow(rows)}
    assert names == {file.path for file in of_arrow(rows[::-1])}
    assert len(names) == 5


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"detected_licenses": ["MIT", "Apache-2.0"]}, ("Apache-2.0", "MIT")),
        ({"license": "mit"}, ("MIT",)),
        ({"licenses": ["Tuesday 1.0", "MIT"]}, ("LicenseRef-Tuesday-1.0", "MIT")),
        ({"license": "none"}, ()),
        ({"license": ""}, ()),
        ({"license": None, "license_type": "no_license"}, ()),
        ({"license_type": "permissive"}, (STATED_PERMISSIVE,)),
        ({"license_type": "non_permissive"}, (STATED_RESTRICTED,)),
        ({"license_type": "non_permissive", "license": "MIT"}, ("LicenseRef-non-permissive", "MIT")),
        ({"license_type": "permissive", "license": "GPL-3.0-only"}, ("GPL-3.0-only",)),
        ({"detected_licenses": [], "gha_license_id": "Apache-2.0"}, ("Apache-2.0",)),
    ],
)
def test_what_a_row_says_of_its_licence_holds(stated: dict[str, Any], expected: tuple[str, ...]) -> None:
    (file,) = files_of_row({"content": "x = 1\n", "path": "a.py", **stated})
    assert isinstance(file, RawFile)
    assert file.licenses == expected


def test_a_table_without_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"path": "a.py"}\n' * 2000 + "no JSON")
    with pytest.raises(ValueError, match="no line has one of the fields content"):
        read_source(str(tmp_path / "a.jsonl"))
