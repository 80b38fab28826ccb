"""What a build says and leaves when its input is damaged or the disk is full: the cause, and nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import staging
from pipelines.corpus import build
from pipelines.corpus_settings import CorpusSettings
from pipelines.spark import session
from quality.mistakes import BadInput, Failure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    # Spark's own modules and the sockets of its workers; the project's modules stay under the general rule.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:::pyspark"),
]

SETTINGS = CorpusSettings(licenses=("permissive", "no_license"))


def program(number: int, functions: int = 20) -> str:
    return "".join(f"def v{number}_{n}(a, b):\n    return a * {n} + b - {number}\n\n" for n in range(functions))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with session(tmp_path_factory.mktemp("spark"), master="local[2]", memory="1g") as spark:
        yield spark


def tables(folder: Path) -> list[Path]:
    """Three tables as one finds them: rows of repository, path and content."""
    folder.mkdir()
    found = [folder / f"rows-{number}.parquet" for number in range(3)]
    for number, file in enumerate(found):
        texts = [program(100 * number + row) for row in range(40)]
        columns = {"repo_name": ["r"] * 40, "path": [f"{number}/{row}.py" for row in range(40)], "content": texts}
        pq.write_table(pa.table(columns), file, compression="none", row_group_size=10)
    return found


@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_a_damaged_table_among_good_ones_is_named(damage: str, spark: SparkSession, tmp_path: Path) -> None:
    files = tables(tmp_path / "in")
    whole = files[1].read_bytes()
    half, quarter = len(whole) // 2, len(whole) // 4
    damaged = whole[:half] if damage == "cut short" else whole[:quarter] + bytes(half) + whole[quarter + half :]
    files[1].write_bytes(damaged)
    with pytest.raises((BadInput, Failure), match=r"rows-1\.parquet") as caught:
        build([str(file) for file in files], tmp_path / "out" / "corpus", SETTINGS, spark=spark)
    assert "rows-0" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_a_staged_part_that_goes_bad_is_named(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = staging._write

    def write(rows: list[dict[str, object]], folder: Path, number: int) -> None:
        real(rows, folder, number)
        if number == 1:
            file = folder / "raw-000001.parquet"
            file.write_bytes(file.read_bytes()[:-20])

    monkeypatch.setattr(staging, "_write", write)
    monkeypatch.setattr(staging, "STAGED_BYTES", 20_000)
    (tmp_path / "in").mkdir()
    for number in range(60):
        (tmp_path / "in" / f"{number}.py").write_text(program(number))
    with session_left_whole(spark), pytest.raises(Failure, match=r"raw-000001\.parquet"):
        build([str(tmp_path / "in")], tmp_path / "out" / "corpus", SETTINGS, spark=spark)
    assert not any((tmp_path / "out").iterdir())


@contextmanager
def session_left_whole(spark: SparkSession) -> Iterator[None]:
    """A failed job must leave the caller's session usable."""
    yield
    assert spark.range(3).count() == 3


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "polymix-test", str(place)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# 6 MB of source: 2 MB are full while it is staged, 9 MB while Spark writes what it found.
@pytest.mark.parametrize("small_disk", ["2m", "9m"], indirect=True)
def test_a_full_disk_is_told_and_nothing_is_left(small_disk: Path, spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        (tmp_path / "in" / f"{number}.py").write_text(program(number, functions=2000))
    with session_left_whole(spark), pytest.raises((OSError, Failure), match="No space left on device"):
        build([str(tmp_path / "in")], small_disk / "corpus", SETTINGS, spark=spark)
    assert not any(small_disk.iterdir())
