"""Duplicates by Spark are the duplicates found in memory, row by row."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipelines.dedup import Rank, dedup
from pipelines.spark_dedup import dedup_by_spark
from quality.mistakes import BadInput

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:::pyspark"),
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from pipelines.spark import session

    scratch = tmp_path_factory.mktemp("spark") / 'a "b" ü'
    scratch.mkdir()
    with session(scratch, master="local[2]", memory="1g") as spark:
        yield spark


def texts() -> pa.Table:
    rng = random.Random(5)
    words = [f"word{n}" for n in range(400)]
    rows: list[dict[str, object]] = []
    for number in range(60):
        base = [rng.choice(words) for _ in range(80)]
        for copy in range(rng.choice([1, 1, 2, 4])):
            own = list(base)
            for _ in range(rng.choice([0, 0, 1, 3, 12]) if copy else 0):
                own[rng.randrange(len(own))] = rng.choice(words)
            text = " ".join(own) + rng.choice(["", "", " \r\n"])
            rows.append({"id": f"t{number}-{copy}", "text": text, "stars": rng.choice([None, 1, 5]), "kind": "a"})
    for row in rows:
        row["seen"] = datetime(2024, 2, 29, rng.randrange(24), 7, tzinfo=UTC)
    rows += [{"id": f"s{n}", "text": text, "stars": 1, "kind": "b"} for n, text in enumerate(["", "a b", "a  b", "c"])]
    rng.shuffle(rows)
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("ranks", [[], [Rank("stars", descending=True), Rank("kind", values=("b", "a"))]])
def test_spark_writes_the_clusters_that_memory_writes(spark: SparkSession, tmp_path: Path, ranks: list[Rank]) -> None:
    table = texts()
    (tmp_path / "in").mkdir()
    for part in range(3):
        pq.write_table(table.slice(part * 40, 40 if part < 2 else None), tmp_path / "in" / f"{part}.parquet")
    here = dedup(tmp_path / "in", tmp_path / "here", ranks=ranks)
    there = dedup_by_spark(tmp_path / "in", tmp_path / "there", ranks=ranks, spark=spark)
    assert here == there
    assert here["near_removed"] > 10
    clusters = [pq.read_table(tmp_path / name / "clusters.parquet").to_pylist() for name in ("here", "there")]
    assert clusters[0] == clusters[1]
    kept = pq.read_table(tmp_path / "here" / "kept.parquet").sort_by("id")
    other = ds.dataset(tmp_path / "there" / "kept.parquet").to_table().select(kept.column_names).sort_by("id")
    assert kept.to_pylist() == other.to_pylist()


def test_what_is_wrong_with_a_table_is_told_at_once(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "a", "b"], "text": ["x", None, "y"]}), tmp_path / "bad.parquet")
    with pytest.raises(BadInput) as wrong:
        dedup_by_spark(tmp_path / "bad.parquet", tmp_path / "out", spark=spark)
    assert len(wrong.value.mistakes) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bad.parquet"]
