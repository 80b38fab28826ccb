"""A corpus from real files to Parquet, on one Spark session; the same bytes however the work is divided."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipelines import corpus, decisions, staging
from pipelines.corpus import Streaming, build
from pipelines.corpus_settings import CorpusSettings, GivenFile
from pipelines.dedup import CLUSTER_SCHEMA, NearDuplicates, deduplicate
from pipelines.earlier import INDEX_SCHEMA, read_earlier
from pipelines.sources import Source
from quality.artifacts import read_manifest
from quality.contracts import ContractFailed
from quality.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA, document_id, git_blob_id
from quality.mistakes import BadInput

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    # Spark's own modules and the sockets of its workers; the project's modules stay under the general rule.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:::pyspark"),
]

FOLDERS = 6


def program(language: str, number: int) -> str:
    names = [f"value{number}_{n}" for n in range(30)]
    if language == "javascript":
        return "".join(
            f"function {name}(a, b) {{\n  return a * {n} + b - {number};\n}}\n\n" for n, name in enumerate(names)
        )
    if language == "python":
        return "".join(f"def {name}(a, b):\n    return a * {n} + b - {number}\n\n" for n, name in enumerate(names))
    body = "".join(
        f"\treturn a*{n} + b - {number}\n}}\n\nfunc {name}(a, b int) int {{\n" for n, name in enumerate(names)
    )
    return f"package p{number}\n\nfunc first(a, b int) int {{\n{body}\treturn a\n}}\n"


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source") / "project"
    write(root / "LICENSE", "MIT License\n\nCopyright (c) 2020 X\n\n" + MIT)
    for number in range(FOLDERS):
        write(root / f"py{number}" / "a.py", program("python", number))
        write(root / f"go{number}" / "a.go", program("go", number))
        write(root / f"js{number}" / "a.js", program("javascript", number))
    near = program("python", 0).replace("value0_7(", "renamed(")
    write(root / "py1" / "near.py", near)
    write(root / "py2" / "same.py", program("python", 2))
    write(root / "py3" / "crlf.py", program("python", 3).replace("\n", "\r\n"))
    write(root / "py4" / "tiny.py", "x = 4\n")
    write(root / "py5" / "tiny.py", "y = 5\n")
    write(root / "py5" / "broken.py", "def def def ((( = = =\n" * 9)
    write(root / "py5" / "gpl.py", "# SPDX-License-Identifier: GPL-3.0-only\n" + program("python", 77))
    write(root / "data.bin", bytes(range(256)) * 4)
    write(root / "README.md", "# Words\n")
    return root


MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from pipelines.spark import session

    with session(tmp_path_factory.mktemp("spark"), master="local[2]", memory="1g") as spark:
        yield spark


@pytest.fixture(scope="module")
def built(source: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "corpus"
    build([str(source)], out, spark=spark, command="polymix build ...")
    return out


def documents(folder: Path) -> list[dict[str, Any]]:
    return ds.dataset(folder / "documents", format="parquet", partitioning="hive").to_table().to_pylist()


def test_every_file_is_a_document_or_a_reject(built: Path, source: Path) -> None:
    kept = documents(built)
    rejects = pq.read_table(built / "rejects.parquet").to_pylist()
    seen = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    assert sorted([row["path"] for row in kept] + [row["path"] for row in rejects]) == seen
    why = {row["path"]: (row["stage"], row["reason"]) for row in rejects}
    assert why["py5/broken.py"] == ("filter", "syntax")
    assert why["py5/gpl.py"] == ("licence", "non_permissive")
    assert why["data.bin"][0] == why["README.md"][0] == why["LICENSE"][0] == "classify"
    counts = read_manifest(built, "corpus")["counts"]
    assert counts["files_seen"] == len(seen)
    assert counts["bytes_seen"] == sum((source / path).stat().st_size for path in seen)
    assert counts["documents"] == len(kept) == sum(row["documents"] for row in counts["languages"].values())
    assert sum(number for stage in counts["rejects"].values() for number in stage.values()) == len(rejects)


def test_one_of_each_group_of_duplicates_stays_and_short_files_do_too(built: Path) -> None:
    paths = {row["path"] for row in documents(built)}
    assert len(paths & {"py0/a.py", "py1/near.py"}) == 1
    assert len(paths & {"py2/a.py", "py2/same.py"}) == 1
    assert len(paths & {"py3/a.py", "py3/crlf.py"}) == 1
    assert {"py4/tiny.py", "py5/tiny.py"} <= paths
    reasons = [row["reason"] for row in pq.read_table(built / "clusters.parquet").to_pylist()]
    assert {name: reasons.count(name) for name in ("same_bytes", "same_text", "near", "survivor")} == {
        "same_bytes": 1,
        "same_text": 1,
        "near": 1,
        "survivor": 3,
    }


def test_what_is_on_disk_has_the_schemas_and_whole_texts(built: Path, source: Path) -> None:
    files = sorted((built / "documents").rglob("*.parquet"))
    in_file = [field for field in DOCUMENT_SCHEMA if field.name not in ("language", "split")]
    assert all(list(pq.read_schema(file)) == in_file for file in files)
    assert pq.read_schema(built / "rejects.parquet").equals(REJECT_SCHEMA)
    assert pq.read_schema(built / "clusters.parquet").equals(CLUSTER_SCHEMA)
    for row in documents(built):
        assert row["text"].encode() == (source / row["path"]).read_bytes()
    assert not list(built.rglob("*.partial"))
    assert not (built / ".scratch").exists()


def test_each_language_has_both_sides_and_no_folder_has_two(built: Path) -> None:
    counts = read_manifest(built, "corpus")["counts"]["languages"]
    assert set(counts) == {"python", "go", "javascript"}
    for row in counts.values():
        assert row["train_bytes"] > row["validation_bytes"] > 0
        assert row["split_unit"] == "folder"
    sides: dict[str, set[str]] = {}
    for row in documents(built):
        sides.setdefault(row["path"].split("/")[0], set()).add(row["split"])
    assert all(len(found) == 1 for found in sides.values())


def test_spark_and_memory_find_the_same_duplicates(built: Path, source: Path) -> None:
    clusters = {row["id"]: row for row in pq.read_table(built / "clusters.parquet").to_pylist()}
    texts: dict[str, str] = {}
    for file in source.rglob("*.py"):
        blob = git_blob_id(file.read_bytes())
        texts[document_id("project", file.relative_to(source).as_posix(), blob)] = file.read_bytes().decode()
    texts = {name: text for name, text in texts.items() if name in clusters}
    assert len(texts) == FOLDERS + 5
    near = CorpusSettings().near_duplicates
    alone = {row["id"]: row for row in deduplicate(list(texts), list(texts.values()), near).to_pylist()}
    similarity = sorted(row["similarity"] for row in alone.values() if row["reason"] == "near")
    assert similarity == sorted(clusters[name]["similarity"] for name in alone if clusters[name]["reason"] == "near")
    assert sum(row["kept"] for row in alone.values()) == sum(clusters[name]["kept"] for name in alone)


def test_the_same_bytes_however_the_work_is_divided(
    built: Path, source: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "STAGED_BYTES", 3000)
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        build([str(source)], tmp_path / "corpus", spark=spark, command="polymix build ...")
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        spark.conf.set("spark.sql.adaptive.enabled", "true")
    assert_same(built, tmp_path / "corpus")


def assert_same(left: Path, right: Path) -> None:
    names = sorted(path.relative_to(left) for path in left.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(right) for path in right.rglob("*") if path.is_file())
    for name in names:
        assert (left / name).read_bytes() == (right / name).read_bytes(), name


# --- Beside what is there already -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A later batch: more files of `project`, and a repository `fresh`."""
    root = tmp_path_factory.mktemp("batch")
    for name in ("project", "fresh"):
        write(root / name / "LICENSE", "MIT License\n\nCopyright (c) 2020 X\n\n" + MIT)
    write(root / "fresh" / "same.py", program("python", 2))
    write(root / "fresh" / "crlf.py", program("python", 4).replace("\n", "\r\n"))
    write(root / "fresh" / "near.py", program("python", 5).replace("value5_7(", "renamed("))
    for number in range(FOLDERS):
        # It stays beside its near duplicate in another language, on the same side.
        text = program("javascript", number).replace(f"value{number}_7(", "renamed(")
        write(root / "fresh" / "ts" / f"b{number}.ts", text)
        write(root / "project" / f"go{number}" / "more.go", program("go", 20 + number))
    write(root / "project" / "elsewhere" / "more.go", program("go", 30))
    for number in range(2):
        write(root / "fresh" / f"new{number}" / "new.py", program("python", 40 + number))
    write(root / "fresh" / "new0" / "again.py", program("python", 40))
    return root


@pytest.fixture(scope="module")
def delta(batch: Path, built: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("delta") / "corpus"
    build([str(batch / "fresh"), str(batch / "project")], out, against=[built], spark=spark)
    return out


def test_only_what_an_earlier_corpus_holds_no_duplicate_of_is_added(delta: Path, built: Path) -> None:
    there = {row["path"]: row for row in documents(built)}
    added = {row["path"]: row for row in documents(delta)}
    assert {path for path in added if path.startswith("new")} in (
        {"new0/new.py", "new1/new.py"},
        {"new0/again.py", "new1/new.py"},
    )
    rejects = {row["path"]: row for row in pq.read_table(delta / "rejects.parquet").to_pylist()}
    survivor = {"py2/a.py", "py2/same.py"} & {*there}
    assert (rejects["same.py"]["reason"], rejects["same.py"]["detail"]) == ("same_bytes", there[survivor.pop()]["id"])
    assert (rejects["crlf.py"]["reason"], rejects["crlf.py"]["detail"]) == ("same_text", there["py4/a.py"]["id"])
    assert rejects["near.py"]["stage"] == "near"
    assert rejects["near.py"]["detail"].endswith(there["py5/a.py"]["id"])
    clusters = {row["id"]: row for row in pq.read_table(delta / "clusters.parquet").to_pylist()}
    assert not {*clusters} & {row["id"] for row in there.values()}
    assert clusters[rejects["near.py"]["id"]]["cluster"] == there["py5/a.py"]["id"]
    assert {row["id"] for row in clusters.values() if row["kept"]} == {row["id"] for row in added.values()}


def test_what_is_added_stands_where_its_family_or_repository_does(delta: Path, built: Path) -> None:
    there = {row["path"]: row for row in documents(built)}
    added = {row["path"]: row for row in documents(delta)}
    for number in range(FOLDERS):
        old, new = there[f"js{number}/a.js"], added[f"ts/b{number}.ts"]
        assert (new["cluster"], new["split"]) == (old["cluster"], old["split"])
        assert added[f"go{number}/more.go"]["split"] == there[f"go{number}/a.go"]["split"]
    assert added["elsewhere/more.go"]["split"] == "train"
    for language in ("javascript", "go"):
        assert len({row["split"] for row in there.values() if row["language"] == language}) == 2
    counts = read_manifest(delta)["counts"]["languages"]
    assert {name: row["split_unit"] for name, row in counts.items()} == {
        "python": "folder",
        "go": "as before",
        "typescript": "as before",
    }


def test_a_delta_depends_neither_on_the_order_of_its_sources_nor_on_partitions(
    delta: Path, batch: Path, built: Path, spark: SparkSession, tmp_path: Path
) -> None:
    partitions = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        build([str(batch / "project"), str(batch / "fresh")], tmp_path / "corpus", against=[built, built], spark=spark)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        spark.conf.set("spark.sql.adaptive.enabled", "true")
    for name in ("sources.parquet", "manifest.json"):
        (tmp_path / "corpus" / name).write_bytes((delta / name).read_bytes())
    assert_same(delta, tmp_path / "corpus")


def test_an_index_has_each_document_with_what_it_is_compared_by(built: Path) -> None:
    index = pq.read_table(built / "index.parquet")
    assert index.schema.equals(INDEX_SCHEMA)
    rows = index.to_pylist()
    names = ("id", "language", "repo_name", "split", "cluster", "text_hash")
    kept = sorted([{name: row[name] for name in names} for row in documents(built)], key=lambda row: row["id"])
    assert [{name: row[name] for name in names} for row in rows] == kept
    assert all(row["preference"].hex().endswith(row["id"]) for row in rows)
    assert {len(row["buckets"]) for row in rows} == {CorpusSettings().near_duplicates.bands}


def test_corpora_that_cannot_be_added_to_are_told_with_all_that_differs(built: Path, tmp_path: Path) -> None:
    settings = CorpusSettings(near_duplicates=NearDuplicates(threshold=0.8, seed=3))
    with pytest.raises(BadInput) as wrong:
        build(["."], tmp_path / "corpus", settings, against=[tmp_path / "none", built])
    assert [mistake.where for mistake in wrong.value.mistakes] == [
        str(tmp_path / "none"),
        f"{built}: near_duplicates: seed",
        f"{built}: near_duplicates: threshold",
    ]
    with pytest.raises(BadInput, match="take level file"):
        build(["."], tmp_path / "corpus", CorpusSettings(level="repository"), against=[built])


def test_a_cluster_that_would_stand_on_both_sides_breaks_the_contract(
    delta: Path, built: Path, tmp_path: Path, spark: SparkSession
) -> None:
    moved = tmp_path / "documents"
    shutil.copytree(delta / "documents" / "language=typescript", moved / "language=typescript")
    sides = [path.name for path in (moved / "language=typescript").iterdir()]
    for name in sides:
        (moved / "language=typescript" / name).rename(moved / "language=typescript" / f"old-{name}")
    for name in sides:
        other = "split=train" if name == "split=validation" else "split=validation"
        (moved / "language=typescript" / f"old-{name}").rename(moved / "language=typescript" / other)
    earlier = read_earlier([built], NearDuplicates())
    found = corpus.facts(spark, moved, "file", earlier).toArrow()
    assert found.num_rows == FOLDERS
    assert set(found["cluster_splits"].to_pylist()) == {2}


def test_a_fork_goes_as_a_whole_and_a_repository_that_shares_files_stays_whole(
    spark: SparkSession, tmp_path: Path
) -> None:
    files = {
        "original": {f"a{n}.py": program("python", n) for n in range(6)},
        "fork": {f"b{n}.py": program("python", n) for n in range(5)} | {"new.go": program("go", 9)},
        "copy": {f"deep/c{n}.py": program("python", n).replace("\n", "\r\n") for n in range(6)},
        "other": {"a0.py": program("python", 0)} | {f"d{n}.py": program("python", n) for n in range(20, 26)},
    }
    rows = [
        {
            "content": text,
            "path": path,
            "max_stars_repo_name": name,
            "license": "MIT",
            "max_stars_count": len(name) if name == "original" else 1,
        }
        for name, own in files.items()
        for path, text in own.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    build([str(tmp_path / "rows.parquet")], tmp_path / "out", CorpusSettings(level="repository"), spark=spark)
    kept = documents(tmp_path / "out")
    names = {row["repo_name"].rpartition(":")[2]: row["repo_name"] for row in kept}
    assert sorted(row["path"] for row in kept) == sorted([*files["original"], *files["other"]])
    clusters = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "clusters.parquet").to_pylist()}
    assert {name.rpartition(":")[2]: row["reason"] for name, row in clusters.items()} == {
        "original": "survivor",
        "fork": "near",
        "copy": "same_text",
        "other": "unique",
    }
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert {(row["stage"], row["detail"].rpartition(" ")[2]) for row in rejects} == {
        ("near", names["original"]),
        ("exact", names["original"]),
    }
    assert len(rejects) == len(files["fork"]) + len(files["copy"])
    (near,) = [row["similarity"] for row in clusters.values() if row["reason"] == "near"]
    assert 0.7 <= near < 1


def test_a_table_that_spark_reads_gives_the_rows_of_one_read_here(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        {"content": program("python", n), "path": f"d{n}/a.py", "max_stars_repo_name": "o/r", "license": "MIT"}
        for n in range(8)
    ]
    rows += [rows[0], rows[0], {"content": None, "path": "none.py", "max_stars_repo_name": "o/r", "license": "MIT"}]
    rows = [{**row, "visit_date": datetime(2023, 9, 1, len(row["path"]), tzinfo=UTC)} for row in rows]
    (tmp_path / "rows").mkdir()
    for part in range(3):
        pq.write_table(pa.Table.from_pylist(rows[part::3]), tmp_path / "rows" / f"{part}.parquet")
    here = build([str(tmp_path / "rows")], tmp_path / "here", spark=spark)
    there = build([f"spark:{tmp_path / 'rows'}"], tmp_path / "there", spark=spark)
    assert here["counts"] == there["counts"]
    assert here["counts"]["files_seen"] == len(rows)
    assert here["counts"]["rejects"]["read"] == {"no_content": 1, "repeated": 2}
    for name in ("rejects.parquet", "clusters.parquet", "signals.parquet"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert documents(tmp_path / "here") == documents(tmp_path / "there")
    assert {row["visit_date"] for row in documents(tmp_path / "there")} == {datetime(2023, 9, 1, 7, tzinfo=UTC)}


def test_tables_that_spark_cannot_read_are_told_together(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "no-code.parquet")
    with pytest.raises(BadInput) as wrong:
        build([f"spark:{tmp_path / 'none'}", f"spark:{tmp_path / 'no-code.parquet'}"], tmp_path / "out", spark=spark)
    assert len(wrong.value.mistakes) == 2
    assert "content" in str(wrong.value)
    globs = Source(spec="s3a://bucket/rows", include=("*.py",))
    with pytest.raises(BadInput, match="row by row"):
        build([globs], tmp_path / "out", spark=spark)


def test_datatrove_makes_the_same_bytes(built: Path, source: Path, spark: SparkSession, tmp_path: Path) -> None:
    build([str(source)], tmp_path / "corpus", spark=spark, streaming=Streaming(2), command="polymix build ...")
    assert_same(built, tmp_path / "corpus")


def test_a_build_that_was_ended_goes_on_from_what_was_inspected(
    built: Path, source: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: Any) -> None:
        raise KeyboardInterrupt

    work = tmp_path / "work"
    monkeypatch.setattr(corpus, "_decided", ended)
    with pytest.raises(KeyboardInterrupt):
        build([str(source)], tmp_path / "corpus", spark=spark, work=work, command="polymix build ...")
    assert not (tmp_path / "corpus").exists()
    monkeypatch.undo()
    monkeypatch.setattr(corpus, "stage", ended)
    monkeypatch.setattr(corpus, "_inspect_by_spark", ended)
    build([str(source)], tmp_path / "corpus", spark=spark, work=work, command="polymix build ...")
    assert_same(built, tmp_path / "corpus")
    assert not work.exists()


def test_benchmarks_and_opt_outs_are_rejects_with_their_reason(
    source: Path, spark: SparkSession, tmp_path: Path
) -> None:
    task = {"task_id": "T/1", "prompt": "", "canonical_solution": program("python", 1), "test": "", "entry_point": "f"}
    write(tmp_path / "tasks.jsonl", json.dumps(task) + "\n")
    write(tmp_path / "asked.txt", "git:project:py2/**\n")
    settings = CorpusSettings(
        benchmarks=(GivenFile(path=str(tmp_path / "tasks.jsonl")),),
        opt_out=GivenFile(path=str(tmp_path / "asked.txt")),
    )
    build([str(source)], tmp_path / "corpus", settings, spark=spark)
    rejects = {row["path"]: row for row in pq.read_table(tmp_path / "corpus" / "rejects.parquet").to_pylist()}
    assert rejects["py1/a.py"]["stage"] == "contamination"
    assert "tasks T/1" in rejects["py1/a.py"]["detail"]
    assert {path for path, row in rejects.items() if row["stage"] == "opt_out"} == {"py2/a.py", "py2/same.py"}
    identity = str(read_manifest(tmp_path / "corpus")["identity"])
    assert str(tmp_path) not in identity


def test_given_files_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "asked.txt", "???\n")
    settings = CorpusSettings(
        benchmarks=(GivenFile(path=str(tmp_path / "none.jsonl")),),
        opt_out=GivenFile(path=str(tmp_path / "asked.txt")),
    )
    with pytest.raises(BadInput) as wrong:
        build(["."], tmp_path / "corpus", settings, master="foo", memory="3x")
    assert [mistake.where for mistake in wrong.value.mistakes] == [
        "master 'foo'",
        "memory '3x'",
        str(tmp_path / "none.jsonl"),
        f"{tmp_path / 'asked.txt'}: line 1",
    ]


def test_a_broken_contract_publishes_nothing(
    source: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decisions.assign

    def leaking(*arguments: Any) -> Any:
        split = real(*arguments)
        return type(split)(dict.fromkeys(split.side, "test"), split.levels)

    monkeypatch.setattr(decisions, "assign", leaking)
    with pytest.raises(ContractFailed, match="expect_column_values_to_be_in_set") as failure:
        build([str(source)], tmp_path / "corpus", spark=spark)
    assert "split=test" in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_sources_without_code_are_refused_with_the_reasons(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.md", "# words\n")
    write(tmp_path / "in" / "b.py", program("python", 1))
    with pytest.raises(BadInput, match="no file of 2 was kept") as wrong:
        build([str(tmp_path / "in")], tmp_path / "corpus", spark=spark)
    assert "1 classify: text, 1 licence: no_license" in str(wrong.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_mistakes_in_sources_are_found_before_spark_is_asked(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as wrong:
        build([str(tmp_path / "missing"), "pypi:nothing"], tmp_path / "corpus")
    assert len(wrong.value.mistakes) == 2
    with pytest.raises(BadInput, match="none given"):
        build([], tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_old_java_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.spark import find_java

    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="make toolchains"):
        find_java()
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BadInput, match="is Java 11"):
        find_java()
