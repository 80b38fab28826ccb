"""Spark finds the candidates that one process finds, whatever the partitions."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parallel_mining.candidates import SEARCH_SCHEMA, candidates, search_row
from parallel_mining.clues import Clues
from parallel_mining.mine import MiningSettings, mine, search_here
from parallel_mining.pairs import Program
from parallel_mining.signatures import Parameter, Signature
from parallel_mining.types import parse_type
from parallel_mining.units import Origin, Unit
from pipelines.spark_candidates import FOUND_SCHEMA, search_by_spark, spark_candidates
from quality.artifacts import creating, read_manifest

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

    with session(tmp_path_factory.mktemp("spark"), master="local[2]", memory="1g") as spark:
        yield spark


def made(count: int) -> list[Unit]:
    """Return units of three languages with words, signatures and licences at random; some have the same code."""
    draw = random.Random(7)
    units: list[Unit] = []
    for number in range(count):
        language = draw.choice(["python", "go", "java"])
        kind = parse_type(draw.choice(["int", "str", "list[int]"])) if draw.random() < 0.7 else None
        # The sixth is in every unit, and so too common to be searched by.
        words = {f"{draw.choice(['name', 'id', 'call'])}:w{draw.randrange(40)}": draw.randint(1, 3) for _ in range(5)}
        words["id:all"] = 1
        origin = Origin(f"{number}", f"repo{number % 3}", "f" * draw.randint(1, 3), (), "permissive")
        program = Program(language, f"code {draw.randrange(count)}", "f")
        signature = Signature((Parameter("x", kind, draw.random() < 0.2),) * draw.randint(1, 2), kind)
        # About a quarter of the vectors are those of too many units of a language.
        stem = f"stem:s{draw.randrange(40)}"
        asks = {stem, *(f"vectors:i {draw.randrange(60)}" for _ in range(4))}
        answers = asks | {f"port:function f{draw.randrange(30)}"}
        asks |= {f"port:function f{draw.randrange(30)}"} if draw.random() < 0.2 else set()
        clues = Clues(tuple(sorted(answers)), tuple(sorted(asks)))
        units.append(Unit(f"{draw.getrandbits(128):032x}", program, signature, origin, words, (), clues=clues))
    return units


def test_spark_finds_what_one_process_finds(spark: SparkSession, tmp_path: Path) -> None:
    units = made(300)
    here = candidates(units, "python", per_unit=4, through_pivot=False)
    table = pa.Table.from_pylist([search_row(unit) for unit in units], schema=SEARCH_SCHEMA)
    spark.conf.set("spark.sql.shuffle.partitions", "3")
    table = spark.createDataFrame(table).repartition(5)
    there = spark_candidates(table, "python", tmp_path, per_unit=4, through_pivot=False).toArrow()
    rows = [tuple(row[name] for name in FOUND_SCHEMA.names) for row in there.to_pylist()]
    expected = [(c.left.unit_id, c.right.unit_id, c.left.language, c.right.language, c.channel, c.score) for c in here]
    assert sorted(rows) == sorted(expected)
    assert len({(r[2], r[3]) for r in rows}) == 3
    assert len(rows) > 100
    assert min(score for *_, score in rows) < 0.25
    channels = {row[4] for row in rows}
    assert channels >= {"index", "port", "stem", "vectors"}
    assert any("index+" in name for name in channels)


def test_a_search_by_spark_gives_the_order_of_the_search_in_process(spark: SparkSession, tmp_path: Path) -> None:
    units = made(200)
    settings = MiningSettings(candidates_per_unit=3)
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    found = search_by_spark(units, settings, tmp_path, spark=spark)
    assert found == search_here(units, settings, tmp_path)
    assert len({c.channel for c in found}) > 3


FILES = [
    (
        "python",
        "a/digit_root.py",
        "def root(n):\n    while n > 9:\n        n = sum(int(c) for c in str(n))\n    return n\n",
    ),
    ("javascript", "a/digitRoot.js", "module.exports = function (n) { return (n * 7) % 11 + 1; };\n"),
]


@pytest.mark.toolchain
def test_the_verb_mines_the_same_by_either_engine(tmp_path: Path) -> None:
    with creating(tmp_path / "corpus", "corpus", {"test": 1}) as draft:
        for number, (language, path, text) in enumerate(FILES):
            place = draft.path / "documents" / f"language={language}" / "split=train"
            place.mkdir(parents=True)
            row = {"id": f"{number:032x}", "text": text, "repo_name": language, "path": path}
            row |= {"detected_licenses": ["MIT"], "license_type": "permissive"}
            pq.write_table(pa.Table.from_pylist([row]), place / "part.parquet")
    arguments = [sys.executable, "-m", "pipelines.cli", "mine", str(tmp_path / "corpus"), "--out"]
    spark = ["--engine", "spark", "--master", "local[1]", "--memory", "512m"]
    outs = [tmp_path / "memory", tmp_path / "spark"]
    mine(tmp_path / "corpus", outs[0], workers=1)
    subprocess.run([*arguments, str(outs[1]), *spark], check=True, capture_output=True)
    names = ["pairs.parquet", "rejected.parquet", "units.parquet"]
    assert {path.name for path in outs[1].iterdir()} >= {*names, "manifest.json"}
    assert not any(path.is_dir() for path in outs[1].iterdir())
    for name in names:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    counts = read_manifest(outs[1], "pairs")["counts"]
    assert counts == read_manifest(outs[0], "pairs")["counts"]
    assert counts["channels"] == {"stem": {"candidates": 1, "proved": 0, "pairs": 0}}


def test_a_master_that_cannot_be_used_is_told_before_anything_is_cut(tmp_path: Path) -> None:
    arguments = ["mine", str(tmp_path), "--out", str(tmp_path / "out"), "--engine", "spark", "--master", "yarn"]
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "master 'yarn'" in done.stderr
