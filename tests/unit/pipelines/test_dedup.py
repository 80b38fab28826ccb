from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines.dedup import (
    CLUSTER_SCHEMA,
    Edge,
    NearDuplicates,
    buckets,
    candidates,
    dedup,
    deduplicate,
    jaccard,
    shingles,
    signatures,
    survivors,
)
from quality.artifacts import read_manifest
from quality.mistakes import BadInput

TOKEN = re.compile(rb"[A-Za-z0-9_$\x80-\xff]+|[^A-Za-z0-9_$\x80-\xff\s]+")


def words(count: int, start: int = 0) -> str:
    return " ".join(f"word{n}" for n in range(start, start + count))


def plain_shingles(text: str, size: int) -> set[tuple[bytes, ...]]:
    tokens = TOKEN.findall(text.encode())
    if 0 < len(tokens) < size:
        return {tuple(tokens)}
    return {tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)}


def plain_jaccard(left: str, right: str, size: int = 5) -> float:
    a, b = plain_shingles(left, size), plain_shingles(right, size)
    return len(a & b) / len(a | b) if a and b else 0.0


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


def test_shingle_sets_and_their_jaccard_are_those_of_a_plain_reading() -> None:
    sets = shingles(TEXTS, 5)
    for i, left in enumerate(TEXTS):
        assert len(sets.of(i)) == len(plain_shingles(left, 5))
        for j, right in enumerate(TEXTS):
            assert jaccard(sets.of(i), sets.of(j)) == pytest.approx(plain_jaccard(left, right))


def test_shingles_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    together = shingles(TEXTS, 3)
    monkeypatch.setattr("pipelines.dedup._BATCH_BYTES", 1)
    apart = shingles(TEXTS, 3)
    assert together.offsets.tolist() == apart.offsets.tolist()
    assert together.values.tolist() == apart.values.tolist()


def test_a_token_hash_does_not_depend_on_where_the_token_stands() -> None:
    sets = shingles([f"{'pad ' * n}alpha beta" for n in range(50)], 2)
    last = shingles(["alpha beta"], 2).of(0)
    assert all(last[0] in sets.of(n) for n in range(50))


@pytest.mark.parametrize("overlap", [10, 50, 80, 95])
def test_signatures_estimate_jaccard_as_well_as_datasketch(overlap: int) -> None:
    from datasketch import MinHash

    left, right = words(400), words(400, 400 - 4 * overlap)
    sets = shingles([left, right], 1)
    true = jaccard(sets.of(0), sets.of(1))
    permutations = 512
    ours = signatures(sets, permutations, 7)
    reference = [MinHash(num_perm=permutations, seed=7) for _ in range(2)]
    for index, sketch in enumerate(reference):
        sketch.update_batch([int(value).to_bytes(8, "little") for value in sets.of(index)])
    spread = np.sqrt(true * (1 - true) / permutations)
    estimate = np.mean(ours[0] == ours[1])
    assert abs(estimate - true) <= 4 * spread
    assert abs(estimate - reference[0].jaccard(reference[1])) <= 6 * spread


def test_texts_without_shingles_have_no_buckets_and_others_one_a_band() -> None:
    config = NearDuplicates(bands=7, rows=3)
    assert [len(found) for found in buckets(shingles(["", "a", words(9)], 5), config)] == [0, 7, 7]
    assert buckets(shingles([], 5), config) == []


def test_recall_is_the_share_of_pairs_that_meet_in_a_bucket() -> None:
    config = NearDuplicates(bands=6, rows=4)
    sets = shingles([w for n in range(300) for w in (words(40, n * 1000), words(40, n * 1000 + 10))], 1)
    found = buckets(sets, config)
    met = np.mean([bool(set(found[n]) & set(found[n + 1])) for n in range(0, 600, 2)])
    assert met == pytest.approx(config.recall(30 / 50), abs=4 * np.sqrt(0.25 / 300))


def test_candidates_are_each_member_with_the_best_before_it() -> None:
    assert candidates("abcd", 2) == [("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d")]
    assert candidates("a", 2) == []


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
    assert found["1"]["similarity"] == pytest.approx(plain_jaccard(TEXTS[0], TEXTS[1]))


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


def test_settings_refuse_nonsense() -> None:
    for wrong in ({"threshold": 0.0}, {"bands": 0}, {"rows": 0}, {"shingle_size": 0}, {"perms": 3}):
        with pytest.raises(ValidationError):
            NearDuplicates.model_validate(wrong)


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


def test_a_folder_of_parquet_gives_what_one_file_gives(tmp_path: Path) -> None:
    table = pa.table({"id": list(range(9)), "text": [words(30, n % 4 * 50) for n in range(9)]})
    for n in range(3):
        (tmp_path / "in" / f"language=l{n}").mkdir(parents=True)
        pq.write_table(table.slice(n * 3, 3), tmp_path / "in" / f"language=l{n}" / "p.parquet")
    pq.write_table(table, tmp_path / "one.parquet")
    assert dedup(tmp_path / "in", tmp_path / "a") == dedup(tmp_path / "one.parquet", tmp_path / "b")
    assert (tmp_path / "a" / "clusters.parquet").read_bytes() == (tmp_path / "b" / "clusters.parquet").read_bytes()
    assert "language" in pq.read_table(tmp_path / "a" / "kept.parquet").column_names


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"id": "a", "body": "x"}, {"id": "a", "body": "y"}], ["id: not unique: 'a' (2", "text: no such column"]),
        ([{"id": "a", "text": None}, {"id": None, "text": "y"}], ["id: null in row 1", "text: null in row 0"]),
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
