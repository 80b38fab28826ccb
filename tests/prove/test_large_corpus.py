"""A corpus several times as large as the heap: memory is bounded, nothing is lost, planted duplicates are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmark import bench_spark, synthetic

pytestmark = [
    pytest.mark.prove,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:::pyspark"),
]
MEGABYTES = 2000.0
HEAP = "512m"


@pytest.fixture(scope="module")
def data() -> Path:
    path = Path(os.environ.get("POLYMIX_BENCH", "build-bench/files.parquet"))
    if not path.is_file():
        pytest.skip(f"{path} is not there; `make prove` fetches it")
    return path


def test_a_corpus_of_four_heaps_is_built_with_every_file_accounted_for(data: Path, tmp_path: Path) -> None:
    made = synthetic.write(data, tmp_path / "source", MEGABYTES)
    row = bench_spark.built(tmp_path, HEAP)
    assert row["files"] == made["documents"]
    assert row["exact_found"] == 1
    assert row["near_found"] >= 0.98
    # The heap, the JVM's own structures, and a Python worker a core.
    assert row["largest_gb"] < 2.0
