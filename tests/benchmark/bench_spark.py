"""What Spark costs beside a bare pool, what a second core brings, and whether a document costs the same in any corpus.

    python -m tests.benchmark.bench_spark --data FILE.parquet [--megabytes 100 2000] [--out FILE.jsonl] [--only PART]

Four tables, each measured in one run:

- `overhead`: the per-file step (classification, licence, filters, redaction, hashes) on the same staged files, by a
  `multiprocessing` pool of two and by Spark `local[2]`; CPU seconds of the process and all its descendants, taken while
  both are warm; the outputs are compared byte for byte.
- `cores`: the same step by Spark on one and on two cores, wall seconds. One core is one that all its processes share
  (`sched_setaffinity`): the JVM's task and its Python worker would otherwise use a second one at `local[1]` already,
  which is shown beside.
- `dedup`: exact and near duplicates of the same texts in this process and by Spark `local[2]`, with the same clusters.
- `flat`: `polymix build` of corpora of growing size made by `tests.benchmark.synthetic`, in a heap of 1 GB: CPU and
  wall seconds a thousand documents, the most memory, and of the planted duplicates how many were found.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.corpus import build, inspected
from pipelines.corpus_settings import CorpusSettings
from pipelines.dedup import dedup
from pipelines.inspection import INSPECTED_SCHEMA, Inspection, inspect_batches
from pipelines.sources import read_sources
from pipelines.spark import session
from pipelines.spark_dedup import dedup_by_spark
from pipelines.staging import stage
from tests.benchmark import synthetic
from tests.benchmark.measure import cpu_seconds, report, watched_memory

_BATCH_ROWS = 256


def _inspect_part(part: Path, inspection: Inspection, out: Path) -> int:
    batches = pq.ParquetFile(part).iter_batches(batch_size=_BATCH_ROWS)
    table = pa.Table.from_batches(inspect_batches(batches, inspection), INSPECTED_SCHEMA)
    pq.write_table(table, out / part.name)
    return table.num_rows


def _by_pool(parts: list[Path], out: Path, inspection: Inspection, workers: int) -> int:
    out.mkdir()
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        rows = sum(pool.imap_unordered(partial(_inspect_part, inspection=inspection, out=out), parts, chunksize=1))
        pool.close()
        pool.join()
    return rows


def _by_spark(spark: Any, raw: Path, out: Path, inspection: Inspection) -> int:
    inspected(spark.read.parquet(str(raw)), inspection).write.parquet(str(out))
    return spark.read.parquet(str(out)).count()


def _rows(folder: Path) -> pa.Table:
    table = ds.dataset(folder, format="parquet").to_table().select(INSPECTED_SCHEMA.names)
    return table.cast(INSPECTED_SCHEMA).sort_by("id")


def _staged(data: Path, scratch: Path, megabytes: float) -> tuple[Path, float]:
    synthetic.write(data, scratch / "source", megabytes, base_megabytes=megabytes)
    raw, skipped = scratch / "raw", scratch / "skipped"
    raw.mkdir()
    skipped.mkdir()
    return raw, stage(read_sources([str(scratch / "source" / "code")]), raw, skipped).bytes / 1e6


def overhead(data: Path, scratch: Path, megabytes: float, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure the per-file step by a pool and by Spark, in turn."""
    raw, size = _staged(data, scratch, megabytes)
    parts = sorted(raw.glob("*.parquet"))
    inspection = Inspection(CorpusSettings())
    used: dict[str, list[float]] = {"multiprocessing pool of 2": [], "Spark local[2]": []}
    with session(scratch, master="local[2]") as spark:
        few = scratch / "few"
        few.mkdir()
        shutil.copy(parts[0], few)
        _by_spark(spark, few, scratch / "warm", inspection)
        for turn in range(repeats):
            for name in used:
                out = scratch / f"{name.split()[0]}-{turn}"
                before = cpu_seconds()
                if name.startswith("Spark"):
                    _by_spark(spark, raw, out, inspection)
                else:
                    _by_pool(parts, out, inspection, 2)
                used[name].append(cpu_seconds() - before)
        same = _rows(scratch / "Spark-0").equals(_rows(scratch / "multiprocessing-0"))
    pool = sorted(used["multiprocessing pool of 2"])[repeats // 2]
    return [
        {
            "engine": name,
            "megabytes": size,
            "cpu_s": sorted(times)[repeats // 2],
            "mb_per_cpu_s": size / sorted(times)[repeats // 2],
            "of_pool": pool / sorted(times)[repeats // 2],
            "same_rows": same,
        }
        for name, times in used.items()
    ]


def cores(data: Path, scratch: Path, megabytes: float, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure the per-file step by Spark on one core and on two, in turn."""
    raw, size = _staged(data, scratch, megabytes)
    inspection = Inspection(CorpusSettings())
    every = os.sched_getaffinity(0)
    ways = {"local[1], one core": (1, 1), "local[1], all cores": (1, len(every)), "local[2], two cores": (2, 2)}
    walls: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats):
        for number, (way, (threads, allowed)) in enumerate(ways.items()):
            place = scratch / f"cores-{number}-{turn}"
            place.mkdir()
            os.sched_setaffinity(0, sorted(every)[:allowed])
            with session(place, master=f"local[{threads}]") as spark:
                few = place / "few"
                few.mkdir()
                shutil.copy(sorted(raw.glob("*.parquet"))[0], few)
                _by_spark(spark, few, place / "warm", inspection)
                before = time.perf_counter()
                _by_spark(spark, raw, place / "out", inspection)
                walls[way].append(time.perf_counter() - before)
            os.sched_setaffinity(0, every)
    one = min(walls["local[1], one core"])
    return [
        {
            "cores": way,
            "megabytes": size,
            "wall_s": min(times),
            "mb_per_s": size / min(times),
            "gain": one / min(times),
        }
        for way, times in walls.items()
    ]


def duplicates(data: Path, scratch: Path, megabytes: float) -> list[dict[str, Any]]:
    """Measure deduplication of the same texts in memory and by Spark."""
    files = synthetic.base(data, 1, megabytes)
    rows = [{"id": f"{number:08d}", "text": file["text"]} for number, file in enumerate(files)]
    (scratch / "texts").mkdir()
    for part in range(0, len(rows), 2_000):
        pq.write_table(pa.Table.from_pylist(rows[part : part + 2_000]), scratch / "texts" / f"{part:08d}.parquet")
    size = sum(len(row["text"].encode()) for row in rows) / 1e6
    found: list[dict[str, Any]] = []

    def measured(engine: str, run: Callable[[Path], dict[str, int]]) -> None:
        before, start = cpu_seconds(), time.perf_counter()
        counts = run(scratch / engine.split()[0])
        cpu, wall = cpu_seconds() - before, time.perf_counter() - start
        found.append({"engine": engine, "megabytes": size, "cpu_s": cpu, "wall_s": wall, "kept": counts["kept"]})

    measured("memory", lambda out: dedup(scratch / "texts", out))
    place = scratch / "spark"
    place.mkdir()
    with session(place, master="local[2]") as spark:
        measured("Spark local[2]", lambda out: dedup_by_spark(scratch / "texts", out, spark=spark))
    clusters = [pq.read_table(scratch / name / "clusters.parquet") for name in ("memory", "Spark")]
    return [row | {"mb_per_cpu_s": size / row["cpu_s"], "same": clusters[0].equals(clusters[1])} for row in found]


def flat(data: Path, scratch: Path, megabytes: float) -> dict[str, Any]:
    """Build one corpus of a size, and look for the duplicates that were planted."""
    made = synthetic.write(data, scratch / "source", megabytes)
    return {"megabytes": made["megabytes"], **built(scratch, "1g")}


def built(scratch: Path, heap: str) -> dict[str, Any]:
    """Build a corpus of what `synthetic.write` left in `scratch/source`, and measure it."""
    source = f"spark:{scratch / 'source' / 'code'}"
    place = scratch / "spark"
    place.mkdir()
    before, start = cpu_seconds(), time.perf_counter()
    # What workers used is only known while Spark, which started them, lives.
    with session(place, master="local[2]", memory=heap) as spark, watched_memory() as peak:
        manifest = build([source], scratch / "corpus", spark=spark)
        wall, cpu = time.perf_counter() - start, cpu_seconds() - before
    counts = manifest["counts"]
    return {
        "files": counts["files_seen"],
        "documents": counts["documents"],
        "cpu_s_per_1000": 1000 * cpu / counts["files_seen"],
        "wall_s_per_1000": 1000 * wall / counts["files_seen"],
        "peak_gb": peak.total_bytes / 1e9,
        "largest_gb": peak.largest_bytes / 1e9,
        **_found(scratch),
    }


def _found(scratch: Path) -> dict[str, Any]:
    """Return how many planted duplicates were found, and how many removals were none.

    A pair counts where both its files passed the filters. A removed file must have the survivor named beside it, of a
    similarity of at least the threshold (which is recomputed by the contract); a file that was not planted and has no
    planted copy may still be a true duplicate within the real code, so those are counted apart.
    """
    planted = pq.read_table(scratch / "source" / "planted.parquet").to_pylist()
    kept = ds.dataset(scratch / "corpus" / "documents", format="parquet").to_table(columns=["path"])["path"].to_pylist()
    rejects = pq.read_table(scratch / "corpus" / "rejects.parquet", columns=["path", "stage"]).to_pylist()
    stage_of = {row["path"]: row["stage"] for row in rejects} | dict.fromkeys(kept, "kept")
    alive = {"kept", "exact", "near"}
    both = [p for p in planted if {stage_of[p["original"]], stage_of[p["copy"]]} <= alive]
    exact = [p for p in both if p["exact"]]
    near = [p for p in both if not p["exact"] and p["jaccard"] >= 0.7]
    far = [p for p in both if not p["exact"] and p["jaccard"] < 0.7]

    def share(pairs: list[dict[str, Any]]) -> float | None:
        removed = [p for p in pairs if {stage_of[p["original"]], stage_of[p["copy"]]} != {"kept"}]
        return len(removed) / len(pairs) if pairs else None

    return {"exact_found": share(exact), "near_found": share(near), "near_pairs": len(near), "below_0.7": len(far)}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[100.0, 500.0, 2000.0])
    parser.add_argument("--only", choices=["overhead", "cores", "dedup", "flat"], action="append")
    given = parser.parse_args()
    parts = given.only or ["overhead", "cores", "dedup", "flat"]
    for name, function in (("overhead", overhead), ("cores", cores), ("dedup", duplicates)):
        if name in parts:
            with tempfile.TemporaryDirectory() as scratch:
                report(name, function(given.data, Path(scratch), given.megabytes[0]), given.out)
    if "flat" in parts:
        rows = []
        for megabytes in given.megabytes:
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(flat(given.data, Path(scratch), megabytes))
                report("flat", rows[-1:], given.out)
        report("flat, all", rows, None)


if __name__ == "__main__":
    main()
