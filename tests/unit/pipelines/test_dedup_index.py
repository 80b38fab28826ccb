from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.dedup import NearDuplicates, Rank, dedup
from quality.mistakes import BadInput


def words(count: int, start: int = 0) -> str:
    return " ".join(f"word{n}" for n in range(start, start + count))


def write(path: Path, rows: dict[str, str], **columns: list[object]) -> Path:
    pq.write_table(pa.table({"id": list(rows), "text": list(rows.values()), **columns}), path)
    return path


def clusters(folder: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(folder / "clusters.parquet").to_pylist()
    return {row["id"]: (row["cluster"], row["reason"]) for row in rows}


OLD = {"a": words(80), "a-near": words(78), "b": words(50, 200), "blank": ""}
NEW = {
    "of-a": words(80) + " \n",
    "like-a": words(79) + " more and more",
    "like-b": words(49, 200),
    "like-each": words(90, 500),
    "like-each-too": words(88, 500),
    "own": words(40, 900),
    "empty": "\n",
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    dedup(write(tmp_path / "old.parquet", OLD), tmp_path / "old")
    return tmp_path / "old"


def test_what_stayed_stays_and_is_preferred_to_all_that_is_new(tmp_path: Path, old: Path) -> None:
    counts = dedup(write(tmp_path / "new.parquet", NEW), tmp_path / "new", against=[old])
    assert clusters(tmp_path / "new") == {
        "of-a": ("a", "same_text"),
        "like-a": ("a", "near"),
        "like-b": ("b", "near"),
        "like-each": ("like-each", "survivor"),
        "like-each-too": ("like-each", "near"),
        "own": ("own", "unique"),
        "empty": ("blank", "same_text"),
    }
    assert counts == {"documents": 7, "exact_removed": 2, "near_removed": 3, "kept": 2}
    assert pq.read_table(tmp_path / "new" / "kept.parquet")["id"].to_pylist() == ["like-each", "own"]


def test_a_larger_new_text_does_not_replace_an_old_one(tmp_path: Path, old: Path) -> None:
    source = write(tmp_path / "new.parquet", {"longer": words(85)}, stars=[100])
    dedup(source, tmp_path / "new", against=[old], ranks=[Rank("stars", descending=True)])
    assert clusters(tmp_path / "new") == {"longer": ("a", "near")}


def test_a_third_batch_is_compared_with_both_before_it(tmp_path: Path, old: Path) -> None:
    dedup(write(tmp_path / "new.parquet", NEW), tmp_path / "new", against=[old])
    third = write(tmp_path / "third.parquet", {"x": words(79), "y": words(41, 900), "z": words(30, 2000)})
    dedup(third, tmp_path / "third", against=[old, tmp_path / "new"])
    assert clusters(tmp_path / "third") == {"x": ("a", "near"), "y": ("own", "near"), "z": ("z", "unique")}


def test_the_order_of_a_batch_is_of_no_account(tmp_path: Path, old: Path) -> None:
    dedup(write(tmp_path / "new.parquet", NEW), tmp_path / "new", against=[old])
    dedup(write(tmp_path / "turned.parquet", dict(reversed(NEW.items()))), tmp_path / "turned", against=[old])
    one, other = (pq.read_table(tmp_path / name / "clusters.parquet") for name in ("new", "turned"))
    assert one.equals(other)


def test_old_texts_are_read_only_where_a_bucket_is_shared(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    from pipelines import dedup as module

    plain = module.old_sets
    monkeypatch.setattr(module, "old_sets", lambda *given: asked.append(sorted(given[2].to_pylist())) or plain(*given))
    dedup(write(tmp_path / "new.parquet", {"like-b": words(49, 200)}), tmp_path / "new", against=[old])
    assert asked == [["b"]]


def test_repositories_are_compared_with_those_that_stayed(tmp_path: Path) -> None:
    texts = {f"r/{n}": words(60, n * 100) for n in range(3)}
    dedup(write(tmp_path / "old.parquet", texts, repo_name=["r"] * 3), tmp_path / "old", level="repository")
    new = {f"s/{n}": words(59, n * 100) for n in range(3)} | {"t/0": words(60)}
    source = write(tmp_path / "new.parquet", new, repo_name=["s", "s", "s", "t"])
    dedup(source, tmp_path / "new", level="repository", against=[tmp_path / "old"])
    assert clusters(tmp_path / "new") == {"s": ("r", "near"), "t": ("t", "unique")}


def test_other_settings_are_refused_and_each_is_named(tmp_path: Path, old: Path) -> None:
    source = write(tmp_path / "new.parquet", NEW | {}, repo_name=["r"] * len(NEW))
    with pytest.raises(BadInput) as wrong:
        dedup(source, tmp_path / "new", NearDuplicates(bands=20, seed=3), level="repository", against=[old])
    assert [str(mistake).split(": ")[1] for mistake in wrong.value.mistakes] == [
        "bands", "level", "repository_column", "seed",
    ]  # fmt: skip
    assert "was made with 25, not 20" in str(wrong.value.mistakes[0])


def test_an_id_of_an_old_text_is_refused(tmp_path: Path, old: Path) -> None:
    with pytest.raises(BadInput, match=r"against .*old: holds ids that the table holds too: 'b'; name them apart"):
        dedup(write(tmp_path / "new.parquet", {"b": "something new"}), tmp_path / "new", against=[old])


def test_what_is_no_earlier_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        dedup(write(tmp_path / "new.parquet", NEW), tmp_path / "new", against=[tmp_path / "nowhere"])
