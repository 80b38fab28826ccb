from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import spill
from pipelines.dedup import (
    CLUSTER_SCHEMA,
    Edge,
    NearDuplicates,
    Rank,
    checkable_clusters,
    cluster_contract,
    dedup,
    deduplicate,
    survivors,
)
from pipelines.shingles import jaccard, shingles
from quality.artifacts import read_manifest
from quality.contracts import run_contract
from quality.mistakes import BadInput


def words(count: int, start: int = 0) -> str:
    return " ".join(f"word{n}" for n in range(start, start + count))


TEXTS = [
    words(300),
    words(290) + " tail" * 3,
    words(150) + " other " + words(150, 400),
    "x = 1",
    "x  =\n1",
    "x = 2",
    "",
    "  \n",
    "é = ü($a_1) ++ [b];",
    "a+b",
    "a-b",
]


def test_a_chain_is_cut_where_the_survivor_is_no_longer_similar() -> None:
    chain = [Edge("a", "b", 0.8), Edge("b", "c", 0.9), Edge("c", "d", 0.8)]
    assert survivors("abcd", chain) == {"b": ("a", 0.8), "d": ("c", 0.8)}


def test_a_text_goes_to_the_most_similar_that_stays() -> None:
    edges = [Edge("a", "c", 0.7), Edge("b", "c", 0.9)]
    assert survivors("abc", edges) == {"c": ("b", 0.9)}
    assert survivors("abc", [Edge("a", "c", 0.8), Edge("b", "c", 0.8)]) == {"c": ("a", 0.8)}


def rows_by_id(table: pa.Table) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in table.to_pylist()}


def test_short_and_blank_texts_do_not_vanish() -> None:
    found = rows_by_id(deduplicate([str(i) for i in range(len(TEXTS))], TEXTS, NearDuplicates()))
    assert len(found) == len(TEXTS)
    stayed = {name for name, row in found.items() if row["kept"]}
    # One of the two same-token texts and one of the two blank ones goes; `x = 2`, `a+b` and `a-b` all stay.
    assert stayed == {"0", "2", "4", "5", "7", "8", "9", "10"} or stayed == {"0", "2", "4", "5", "6", "8", "9", "10"}
    assert found["3"] == {"id": "3", "cluster": "4", "kept": False, "similarity": 1.0, "reason": "near"}
    assert found["1"]["cluster"] == "0"
    assert found["1"]["similarity"] == pytest.approx(jaccard(*(shingles(TEXTS, 5).of(n) for n in (0, 1))))


def test_exact_duplicates_say_whether_their_bytes_are_the_same() -> None:
    text = words(50)
    found = rows_by_id(deduplicate(["a", "b", "c"], [text, text, text + " \r\n"], NearDuplicates()))
    assert found["c"]["reason"] == "survivor"
    assert {found["a"]["reason"], found["b"]["reason"]} == {"same_text"}
    found = rows_by_id(deduplicate(["b", "a"], [text, text], NearDuplicates()))
    assert (found["a"]["reason"], found["b"]["reason"]) == ("survivor", "same_bytes")


def test_a_stated_preference_decides_who_stays() -> None:
    texts = [words(300), words(280)]
    assert rows_by_id(deduplicate(["a", "b"], texts, NearDuplicates()))["a"]["kept"]
    assert rows_by_id(deduplicate(["a", "b"], texts, NearDuplicates(), ["2", "1"]))["b"]["kept"]


def test_a_bucket_of_boilerplate_does_not_cost_its_square() -> None:
    texts = [words(60) + f" own{n} x{n} y{n}" for n in range(400)]
    found = deduplicate([str(n) for n in range(400)], texts, NearDuplicates(bucket_limit=2))
    assert sum(found["kept"].to_pylist()) == 1


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_dedup_keeps_columns_order_and_counts(tmp_path: Path) -> None:
    rows = [{"id": f"t{n}", "text": words(40, n // 2 * 100), "stars": n} for n in range(6)]
    rows.append({"id": "near", "text": words(39), "stars": 9})
    counts = dedup(jsonl(tmp_path / "in.jsonl", rows), tmp_path / "out", NearDuplicates())
    assert counts == {"documents": 7, "exact_removed": 3, "near_removed": 1, "kept": 3}
    kept = pq.read_table(tmp_path / "out" / "kept.parquet")
    clusters = pq.read_table(tmp_path / "out" / "clusters.parquet")
    assert kept.column_names == ["id", "text", "stars"]
    assert kept["stars"].to_pylist() == [0, 2, 4]
    assert clusters.schema.equals(CLUSTER_SCHEMA)
    assert set(clusters.filter(clusters["kept"])["id"].to_pylist()) == set(kept["id"].to_pylist())
    assert read_manifest(tmp_path / "out", "dedup")["counts"] == counts
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clusters.parquet", "index.parquet", "kept.parquet", "manifest.json",
    ]  # fmt: skip


def test_a_folder_of_parquet_gives_what_one_file_gives(tmp_path: Path) -> None:
    table = pa.table({"id": list(range(9)), "text": [words(30, n % 4 * 50) for n in range(9)]})
    for n in range(3):
        (tmp_path / "in" / f"language=l{n}").mkdir(parents=True)
        pq.write_table(table.slice(n * 3, 3), tmp_path / "in" / f"language=l{n}" / "p.parquet")
    pq.write_table(table, tmp_path / "one.parquet")
    assert dedup(tmp_path / "in", tmp_path / "a") == dedup(tmp_path / "one.parquet", tmp_path / "b")
    assert (tmp_path / "a" / "clusters.parquet").read_bytes() == (tmp_path / "b" / "clusters.parquet").read_bytes()
    assert "language" in pq.read_table(tmp_path / "a" / "kept.parquet").column_names


def test_processes_give_what_threads_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": str(number), "text": f"def f{number % 40}(x):\n    return x + {number % 7}\n"} for number in range(400)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "texts.parquet", row_group_size=50)
    dedup(tmp_path / "texts.parquet", tmp_path / "threads")
    monkeypatch.setattr(spill, "_BYTES_ON_DISK", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    dedup(tmp_path / "texts.parquet", tmp_path / "processes")
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes")


def test_what_stays_is_in_order_over_files_that_do_not_depend_on_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.dedup._PART_BYTES", 4000)
    table = pa.table({"id": [f"t{n}" for n in range(300)], "text": [words(30, n % 290 * 40) for n in range(300)]})
    for n in range(2):
        (tmp_path / "in" / f"language=l{n}").mkdir(parents=True)
        part = table.slice(n * 150, 150)
        pq.write_table(part, tmp_path / "in" / f"language=l{n}" / "p.parquet", row_group_size=20)
    dedup(tmp_path / "in", tmp_path / "out")
    files = sorted((tmp_path / "out" / "kept.parquet").iterdir())
    assert len(files) > 2
    kept = pq.read_table(tmp_path / "out" / "kept.parquet", partitioning=None)
    removed = pq.read_table(tmp_path / "out" / "clusters.parquet").to_pylist()
    stays = {row["id"] for row in removed if row["kept"]}
    assert kept["id"].to_pylist() == [name for name in table["id"].to_pylist() if name in stays]
    assert kept["language"].to_pylist() == [f"l{int(name[1:]) // 150}" for name in kept["id"].to_pylist()]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    dedup(tmp_path / "in", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_files_in_other_batches_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": f"t{n}", "text": words(30 + n % 3, n % 7 * 50)} for n in range(50)]
    source = jsonl(tmp_path / "in.jsonl", rows)
    dedup(source, tmp_path / "a")
    monkeypatch.setattr("pipelines.text_tables.BATCH_ROWS", 3)
    monkeypatch.setattr("pipelines.units.BATCH_BYTES", 1)
    monkeypatch.setattr("pipelines.dedup._COMPARED_PAIRS", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    dedup(source, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("rank", "values", "stays"),
    [
        ("stars:desc", [3, None, 9], 2),
        ("stars:asc", [3, None, 9], 0),
        ("day:desc", ["2024-01-01", "2025-06-01", None], 1),
        ("licence:permissive,no_license", ["copyleft", "no_license", "permissive"], 2),
        ("licence:permissive,no_license", [None, "copyleft", "copyleft"], 1),
        ("fork", [True, True, False], 2),
        ("score:desc", [float("nan"), -1.5, None], 1),
    ],
)
def test_ranks_decide_who_stays(tmp_path: Path, rank: str, values: list[object], stays: int) -> None:
    texts = [words(60), words(59), words(58)]  # without a rank the first stays
    table = pa.table({"id": ["0", "1", "2"], "text": texts, rank.partition(":")[0]: values})
    pq.write_table(table, tmp_path / "in.parquet")
    dedup(tmp_path / "in.parquet", tmp_path / "out", ranks=[Rank.parse(rank)])
    assert pq.read_table(tmp_path / "out" / "kept.parquet")["id"].to_pylist() == [str(stays)]


def test_the_second_rank_decides_where_the_first_does_not(tmp_path: Path) -> None:
    table = pa.table({"id": [0, 1, 2], "text": [words(60)] * 3, "a": [1, 1, 2], "b": [5, 4, 1]})
    pq.write_table(table, tmp_path / "in.parquet")
    dedup(tmp_path / "in.parquet", tmp_path / "out", ranks=[Rank("a"), Rank("b")])
    assert pq.read_table(tmp_path / "out" / "kept.parquet")["id"].to_pylist() == [1]


def test_an_unknown_rank_column_is_bad_input(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "in.jsonl", [{"id": "a", "text": "b"}])
    with pytest.raises(BadInput, match="stars: no such column"):
        dedup(source, tmp_path / "out", ranks=[Rank.parse("stars:desc")])


def repositories() -> pa.Table:
    """`copy` has the texts of `first` in another order, `fork` one file more, `other` one file of `first` only."""
    files = {
        "first": [words(80), words(80, 100), words(80, 200)],
        "copy": [words(80, 200), words(80), words(80, 100) + " \n"],
        "fork": [words(80), words(80, 100), words(80, 200), words(20, 500)],
        "other": [words(80), words(300, 1000)],
    }
    rows = [(f"{repo}/{n}", repo, text) for repo, texts in files.items() for n, text in enumerate(texts)]
    columns = ("id", "repo_name", "text")
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate(columns)})


def test_repositories_stay_or_go_as_wholes(tmp_path: Path) -> None:
    pq.write_table(repositories(), tmp_path / "in.parquet")
    counts = dedup(tmp_path / "in.parquet", tmp_path / "out", level="repository")
    assert counts == {"documents": 4, "exact_removed": 1, "near_removed": 1, "kept": 2}
    kept = pq.read_table(tmp_path / "out" / "kept.parquet")
    assert kept["id"].to_pylist() == ["fork/0", "fork/1", "fork/2", "fork/3", "other/0", "other/1"]
    found = rows_by_id(pq.read_table(tmp_path / "out" / "clusters.parquet"))
    assert {name: row["cluster"] for name, row in found.items()} == {
        "first": "fork", "copy": "fork", "fork": "fork", "other": "other",
    }  # fmt: skip
    assert {found["first"]["reason"], found["copy"]["reason"]} == {"near", "same_text"}
    in_memory = deduplicate(
        *(repositories()[name].to_pylist() for name in ("id", "text")),
        NearDuplicates(),
        repositories=repositories()["repo_name"].to_pylist(),
    )
    assert in_memory.equals(pq.read_table(tmp_path / "out" / "clusters.parquet"))


def test_a_repository_has_the_best_rank_of_its_files(tmp_path: Path) -> None:
    table = repositories()
    stars = [9 if name == "copy/1" else 1 for name in table["id"].to_pylist()]
    pq.write_table(table.append_column("stars", pa.array(stars)), tmp_path / "in.parquet")
    dedup(tmp_path / "in.parquet", tmp_path / "out", level="repository", ranks=[Rank("stars", descending=True)])
    kept = pq.read_table(tmp_path / "out" / "kept.parquet")
    assert set(kept["repo_name"].to_pylist()) == {"copy", "other"}


def test_every_row_needs_a_repository_to_compare_those(tmp_path: Path) -> None:
    source = jsonl(
        tmp_path / "in.jsonl", [{"id": "a", "text": "b", "repo": None}, {"id": "c", "text": "b", "repo": "r"}]
    )
    with pytest.raises(BadInput, match="repo: null in row 1"):
        dedup(source, tmp_path / "out", level="repository", repository_column="repo")


def test_a_table_whose_hashes_do_not_fit_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = jsonl(tmp_path / "in.jsonl", [{"id": str(n), "text": "b"} for n in range(10)])
    monkeypatch.setattr("pipelines.dedup.available_memory", lambda: 1_000)
    with pytest.raises(BadInput, match=r"10 texts need about .* GB of memory .* Spark"):
        dedup(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_random_tables_lose_nothing() -> None:
    random = np.random.default_rng(2)
    texts = [words(int(random.integers(0, 30)), int(random.integers(0, 8)) * 5) for _ in range(200)]
    table = deduplicate([str(n) for n in range(200)], texts, NearDuplicates())
    assert sorted(table["id"].to_pylist(), key=int) == [str(n) for n in range(200)]
    assert table.filter(table["kept"])["cluster"].to_pylist() == table.filter(table["kept"])["id"].to_pylist()


def broken(*rows: tuple[str, str, bool, float, str]) -> list[str]:
    table = pa.Table.from_pylist([dict(zip(CLUSTER_SCHEMA.names, row, strict=True)) for row in rows], CLUSTER_SCHEMA)
    parts = [table.slice(at, 1) for at in range(table.num_rows)]
    checked = pa.concat_tables(checkable_clusters(parts))
    results = run_contract(cluster_contract(0.7, alone=True), checked).to_pylist()
    return [str(row["arguments"]) for row in results if not row["success"]]


def test_the_cluster_contract_notices_each_fault() -> None:
    survivor, near = ("a", "a", True, 1.0, "survivor"), ("b", "a", False, 0.8, "near")
    assert broken(survivor, near, ("c", "c", True, 1.0, "unique")) == []
    assert any("similarity" in one for one in broken(survivor, ("b", "a", False, 0.6, "near")))
    assert any("first" in one for one in broken(near))
    assert any("itself" in one for one in broken(survivor, ("b", "a", True, 0.8, "near")))
    assert any("reason" in one for one in broken(("a", "a", True, 1.0, "because")))


@pytest.mark.parametrize("rank", ["stars:ascending", "stars:", "stars:,", "kind:nowhere"])
def test_a_rank_that_means_nothing_is_refused(tmp_path: Path, rank: str) -> None:
    table = pa.table({"id": ["a", "b"], "text": ["x y", "x  y"], "stars": [1, 2], "kind": ["source", "test"]})
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(BadInput, match="asc"):
        dedup(tmp_path / "in.parquet", tmp_path / "out", ranks=[Rank.parse(rank)])
    assert not (tmp_path / "out").exists()


def test_a_result_does_not_replace_the_folder_that_its_table_lies_in(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["x y"]}), tmp_path / "in.parquet")
    dedup(tmp_path / "in.parquet", tmp_path / "out")
    with pytest.raises(BadInput, match="another --out"):
        dedup(tmp_path / "out" / "kept.parquet", tmp_path / "out")
    assert (tmp_path / "out" / "index.parquet").is_file()


def test_a_table_of_blank_texts_alone_keeps_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["", " \n"]}), tmp_path / "in.parquet")
    assert dedup(tmp_path / "in.parquet", tmp_path / "out")["kept"] == 1
