"""Near-duplicate removal, end to end: ours beside four others on the same real code, speed beside accuracy.

    python -m tests.benchmark.bench_dedup --data FILE [--megabytes N] [--bands 14x8 25x5] [--systems NAME ...]

FILE is what `tests.benchmark.data` writes; files of the seven languages that are UTF-8 are taken by a hash of their
path. Every system runs in a process of its own from Parquet to written Parquet, with the same bands and rows and two
workers where it has any: `polymix` by its command line, start-up included; the others by `dedup_peers` in
`.venv-peers` (`setup/peers.sh`), start-up included in CPU seconds only. datatrove runs as it comes (white space words,
its normalisation) and with our tokens and no normalisation, which is more like ours. datasketch and rensa have no
shingles of their own; they get ours, made in Python, and their bands are joined without verification, as they come.

Accuracy is judged against all pairs of a true Jaccard (`dedup_truth`) among files of different shingle sets, as what
has the same set is no test. A system is free to take other shingles, but is judged by these. At a threshold t:

- pairs: a pair is found where both are in one cluster. `precision` is the share of found pairs of Jaccard t and more,
  `recall` the share of those found, `f1` their harmonic mean.
- removal: `justified` is the share of removed sets that have a kept one at Jaccard t or more, `clean` the share of true
  pairs of which not both were kept: what is left of the rest is a duplicate in the corpus.
- `lost`: files that are in no cluster, so that neither they nor anything like them stay or are accounted for.

polymix verifies, so it is run at both thresholds and judged at each by its own; the others propose by bands alone and
have one result. Its pairs are given twice: by cluster, as all are judged, and as the pairs it verified (`edges`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.dedup import NearDuplicates, compared, preference, proposed
from pipelines.units import measured_texts
from tests.benchmark.dedup_truth import Truth, truth
from tests.benchmark.measure import report

ROOT = Path(__file__).parents[2]
PEERS = ("datatrove", "datatrove, our tokens", "text-dedup", "datasketch", "rensa")
THRESHOLDS = (0.7, 0.8)


def sample(data: Path, megabytes: float, folder: Path) -> pa.Table:
    """Write a sample as two Parquet files, one a worker, and return it."""
    table = pq.read_table(data, columns=["language", "package", "path", "data"])
    table = table.filter(pc.is_valid(table["language"]))
    names = [f"{a}:{b}" for a, b in zip(*(table[name].to_pylist() for name in ("package", "path")), strict=True)]
    order = sorted(range(len(names)), key=lambda row: hashlib.sha256(names[row].encode()).digest())
    chosen: dict[str, str] = {}
    size = 0
    for row in order:
        content = table["data"][row].as_py()
        if size + len(content) > megabytes * 1e6:
            break
        try:
            chosen[names[row]] = content.decode()
        except UnicodeDecodeError:
            continue
        size += len(content)
    texts = pa.table({"id": list(chosen), "text": list(chosen.values())})
    half = texts.num_rows // 2
    for part, piece in enumerate((texts.slice(0, half), texts.slice(half))):
        pq.write_table(piece, folder / f"{part}.parquet", row_group_size=1000)
    return texts


# A process of its own, since what a child's peak is counted from is its parent's size; it takes over and waits for all
# that the child leaves behind, as the server its workers are forked from, so that their CPU seconds count.
_USAGE = """
import ctypes, json, os, resource, subprocess, sys, time
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall = time.perf_counter() - start
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(json.dumps({"cpu_s": cpu, "wall_s": wall, "peak_mb": used.ru_maxrss / 1024}))
"""


def polymix(folder: Path, out: Path, bands: int, rows: int, threshold: float, ids: Sequence[str]) -> dict[str, Any]:
    """Run our command; return what it took and its clusters."""
    options = {"--out": out, "--bands": bands, "--rows": rows, "--threshold": threshold}
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "dedup",
        folder,
        *(part for pair in options.items() for part in pair),
    ]
    ended = subprocess.run([sys.executable, "-c", _USAGE, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"polymix dedup failed: {ended.stderr[-2000:]}")
    place = {name: at for at, name in enumerate(ids)}
    groups: dict[str, list[int]] = {}
    kept: set[int] = set()
    for row in pq.read_table(out / "clusters.parquet").to_pylist():
        groups.setdefault(row["cluster"], []).append(place[row["id"]])
        if row["kept"]:
            kept.add(place[row["id"]])
    return {**json.loads(ended.stdout), "clusters": list(groups.values()), "kept": kept}


def peer(system: str, folder: Path, out: Path, bands: int, rows: int) -> dict[str, Any]:
    """Run another system; return what it took and its clusters, each with the file that was kept first."""
    script = Path(__file__).with_name("dedup_peers.py")
    command = [ROOT / ".venv-peers/bin/python", script, system, folder, out, str(bands), str(rows)]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace")
    if ended.returncode:
        raise RuntimeError(f"{system} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    clusters = json.loads((out / "clusters.json").read_text())
    usage = json.loads((out / "usage.json").read_text())
    return {**usage, "clusters": clusters, "kept": {group[0] for group in clusters}}


def accuracy(known: Truth, clusters: Sequence[Sequence[int]], kept: set[int], threshold: float) -> dict[str, float]:
    """Return the measures at a threshold; see the top of this file."""
    sets = int(known.set_of.max()) + 1
    cluster = np.full(sets, -1)
    stays = np.zeros(sets, np.bool_)
    for number, group in enumerate(clusters):
        own = known.set_of[np.array(group)]
        # Files of one set are in one cluster, but for a system whose shingles tell them apart: the first then counts.
        fresh = own[own >= 0]
        cluster[fresh[cluster[fresh] < 0]] = number
        stays[known.set_of[[file for file in group if file in kept and known.set_of[file] >= 0]]] = True
    true = known.jaccard >= threshold
    left, right = known.left[true], known.right[true]
    found = int(np.count_nonzero((cluster[left] == cluster[right]) & (cluster[left] >= 0)))
    sizes = Counter(cluster[cluster >= 0].tolist()).values()
    said = sum(size * (size - 1) // 2 for size in sizes)
    beside = np.zeros(sets, np.bool_)  # has a kept one near it
    beside[left[stays[right]]] = True
    beside[right[stays[left]]] = True
    removed = ~stays
    return {
        **_scores(found, said, len(left)),
        "justified": float(np.mean(beside[removed])) if removed.any() else 1.0,
        "clean": 1 - np.count_nonzero(stays[left] & stays[right]) / max(len(left), 1),
    }


def _scores(found: int, said: int, true: int) -> dict[str, float]:
    precision, recall = (found / said if said else 1.0), (found / true if true else 1.0)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12)}


def edges(known: Truth, texts: Sequence[str], config: NearDuplicates) -> dict[str, float]:
    """Return the scores of the pairs that polymix verifies, among files of different sets."""
    units, sets = measured_texts(texts, config.signing)
    first = np.unique(known.set_of, return_index=True)[1]
    first = first[known.set_of[first] >= 0]
    names = pa.array([str(one) for one in first])
    order = first[preference(units.take(first), names, [])]
    better, worse = proposed(units, order, config)
    near = compared(sets, order[better], order[worse]) >= config.threshold
    sides = (known.set_of[order[side[near]]].tolist() for side in (better, worse))
    said = {frozenset(pair) for pair in zip(*sides, strict=True)}
    true = known.jaccard >= config.threshold
    found = sum(
        frozenset(pair) in said for pair in zip(known.left[true].tolist(), known.right[true].tolist(), strict=True)
    )
    return _scores(found, len(said), int(true.sum()))


def measured(
    system: str, given: Mapping[str, Any], known: Truth, files: int, megabytes: float, thresholds: Sequence[float]
) -> dict[str, Any]:
    """Return a row of the table."""
    row = {
        "system": system,
        "mb": megabytes,
        "files": files,
        **{name: given[name] for name in ("cpu_s", "wall_s", "peak_mb")},
        "mb_per_cpu_s": megabytes / given["cpu_s"],
        "kept": len(given["kept"]),
        "lost": files - sum(map(len, given["clusters"])),
    }
    for threshold in thresholds:
        for name, value in accuracy(known, given["clusters"], given["kept"], threshold).items():
            row[f"{name}_{threshold}"] = value
    return row


def speed_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what was taken, and how many times as long as ours each took."""
    ours = {row["bands"]: row for row in rows if row["system"] == "polymix"}
    names = ("system", "bands", "mb", "cpu_s", "wall_s", "mb_per_cpu_s", "peak_mb", "kept", "lost")
    return [
        {
            **{name: row[name] for name in names},
            **{f"{unit} / ours": row[unit] / ours[row["bands"]][unit] for unit in ("cpu_s", "wall_s")},
        }
        for row in rows
    ]


def accuracy_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the measures at each threshold."""
    names = ("precision", "recall", "f1", "justified", "clean", "edge_precision", "edge_recall", "edge_f1")
    return [
        {"system": row["system"], "bands": row["bands"], "at": at, **{name: row.get(f"{name}_{at}") for name in names}}
        for at in THRESHOLDS
        for row in rows
    ]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=180)
    parser.add_argument("--bands", nargs="+", default=["14x8", "25x5"], help="BANDSxROWS, each for all systems")
    parser.add_argument("--systems", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--repeats", type=int, default=3, help="turns of all systems; the fastest of each is shown")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    names = ("polymix", *given.systems)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        texts = sample(given.data, given.megabytes, folder)
        ids, contents = texts["id"].to_pylist(), texts["text"].to_pylist()
        size = pc.sum(pc.binary_length(texts["text"])).as_py() / 1e6
        print(f"{len(ids):,} files, {size:,.1f} MB", file=sys.stderr)
        known = truth(contents, min(THRESHOLDS))
        judged = partial(measured, known=known, files=len(ids), megabytes=size)
        for shape in given.bands:
            bands, per_band = map(int, shape.split("x"))
            first: dict[str, dict[str, Any]] = {}
            for turn in range(given.repeats):
                for system in names:
                    place = Path(scratch) / f"{shape}-{system}-{turn}"
                    if system == "polymix":
                        result = polymix(folder, place, bands, per_band, max(THRESHOLDS), ids)
                    else:
                        result = peer(system, folder, place, bands, per_band)
                    shutil.rmtree(place)
                    least = first.setdefault(system, result)
                    for name in ("cpu_s", "wall_s"):
                        least[name] = min(least[name], result[name])
            row: dict[str, Any] = {"bands": shape, **judged("polymix", first["polymix"], thresholds=[max(THRESHOLDS)])}
            lower = polymix(folder, Path(scratch) / shape, bands, per_band, min(THRESHOLDS), ids)
            row |= {
                name: value
                for name, value in judged("polymix", lower, thresholds=[min(THRESHOLDS)]).items()
                if name not in row
            }
            for threshold in THRESHOLDS:
                config = NearDuplicates(threshold=threshold, bands=bands, rows=per_band)
                row |= {f"edge_{name}_{threshold}": value for name, value in edges(known, contents, config).items()}
            rows.append(row)
            for system in given.systems:
                rows.append({"bands": shape, **judged(system, first[system], thresholds=THRESHOLDS)})
    report("near duplicates: end to end", speed_rows(rows), given.out)
    report("near duplicates: accuracy", accuracy_rows(rows), given.out)


if __name__ == "__main__":
    main()
