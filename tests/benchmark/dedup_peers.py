"""One other system's near-duplicate removal, run by `bench_dedup` in a process of its own in `.venv-peers`.

    .venv-peers/bin/python tests/benchmark/dedup_peers.py SYSTEM FOLDER OUT BANDS ROWS

FOLDER holds two Parquet files of `id` and `text` (a file a worker). The work ends with the kept rows written under OUT;
after it, and outside what is timed, `OUT/clusters.json` lists the rows of each cluster by their numbers, the one that
was kept first (rows that a system dropped without a word are missing), and `OUT/usage.json` says what the work took:
CPU and wall seconds, peak memory.
"""

from __future__ import annotations

import json
import multiprocessing
import pickle
import re
import resource
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHINGLE_SIZE = 5
TOKEN = re.compile(rb"[A-Za-z0-9_$\x80-\xff]+|[^A-Za-z0-9_$\x80-\xff\s\0]+")
WORKERS = 2
Clusters = dict[int, int]  # the cluster of each row; of a cluster, the row that was kept comes first


def rows_of(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("*.parquet"))])


def datatrove_clusters(folder: Path, out: Path, bands: int, rows: int, *, plain: bool) -> Callable[[], Clusters]:
    """Run the four MinHash stages: with words and normalisation of its own, or with our tokens and none (`plain`)."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.text import TextNormConfig
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Words(WordTokenizer):
        """White space words: datatrove's own tokenizers for them ask for spaCy, and take longer."""

        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def sent_tokenize(self, text: str) -> list[str]:
            return text.splitlines()

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            raise NotImplementedError

    class Tokens(Words):
        def word_tokenize(self, text: str) -> list[str]:
            return re.findall(r"[A-Za-z0-9_$\x80-\U0010ffff]+|[^A-Za-z0-9_$\x80-\U0010ffff\s\0]+", text)

    norm = TextNormConfig() if not plain else TextNormConfig(*[False] * len(TextNormConfig.__dataclass_fields__))
    config = MinhashConfig(n_grams=SHINGLE_SIZE, num_buckets=bands, hashes_per_bucket=rows, norm_config=norm)

    def reader() -> ParquetReader:
        return ParquetReader(str(folder), text_key="text", id_key="id")

    def stage(name: str, steps: list[Any], tasks: int) -> None:
        LocalPipelineExecutor(
            steps, tasks=tasks, workers=WORKERS, logging_dir=str(out / "logs" / name), start_method="fork"
        ).run()

    signatures, buckets, removed = (str(out / name) for name in ("signatures", "buckets", "removed"))
    tokenizer = Tokens() if plain else Words()
    stage("1", [reader(), MinhashDedupSignature(signatures, config, language=tokenizer)], WORKERS)
    stage("2", [MinhashDedupBuckets(signatures, buckets, config=config)], bands)
    stage("3", [MinhashDedupCluster(buckets, removed, config=config, save_cluster_id=True)], 1)
    stage("4", [reader(), MinhashDedupFilter(removed), ParquetWriter(str(out / "kept"))], WORKERS)

    def clusters() -> Clusters:
        # Its reader skips empty texts, and numbers the others.
        texts = [pq.read_table(file)["text"].to_pylist() for file in sorted(folder.glob("*.parquet"))]
        found: Clusters = {}
        gone: set[int] = set()
        before = 0
        for rank, own in enumerate(texts):
            read = [before + row for row, text in enumerate(own) if text]
            before += len(own)
            found |= {row: -1 - row for row in read}
            file = Path(removed) / f"{rank:06d}.clusters"
            for number, cluster in struct.iter_unpack("<2I", file.read_bytes() if file.exists() else b""):
                found[read[number]] = cluster
            file = Path(removed) / f"{rank:06d}.remove"
            gone |= {
                read[number] for (number,) in struct.iter_unpack("<I", file.read_bytes() if file.exists() else b"")
            }
        # In a dictionary, what was kept comes before what was removed.
        return {row: found[row] for row in sorted(found, key=lambda row: (row in gone, row))}

    return clusters


def text_dedup_clusters(folder: Path, out: Path, bands: int, rows: int) -> Callable[[], Clusters]:
    """Run its command, with the faster of its two hashes."""
    from text_dedup.minhash import main

    options = {
        "--path": "parquet",
        "--data_files": str(folder / "*.parquet"),
        "--split": "train",
        "--column": "text",
        "--cache_dir": str(out / "cache"),
        "--output": str(out / "kept"),
        "--num_proc": WORKERS,
        "--hash_func": "xxh3",
        "--num_perm": bands * rows,
        "--b": bands,
        "--r": rows,
        "--ngram": SHINGLE_SIZE,
        "--batch_size": 1000,
        "--use_auth_token": "false",
    }
    main([*(str(part) for pair in options.items() for part in pair), "--debug"], standalone_mode=False)

    def clusters() -> Clusters:
        from text_dedup.utils.tokenization import ngrams

        with (out / "kept" / "uf.pkl").open("rb") as stream:
            union = pickle.load(stream)
        texts = rows_of(folder)["text"].to_pylist()
        # It drops what has fewer words than this, and says so in no output.
        short = {row for row, text in enumerate(texts) if not ngrams(re.split(r"\W", text.lower()), SHINGLE_SIZE)}
        return {row: union.find(row) for row in range(len(texts)) if row not in short}

    return clusters


def _token_sets(texts: Iterable[str]) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    for text in texts:
        tokens = TOKEN.findall(text.encode())
        whole = [b" ".join(tokens)] if 0 < len(tokens) < SHINGLE_SIZE else []
        found.append(
            whole or list({b" ".join(tokens[at : at + SHINGLE_SIZE]) for at in range(len(tokens) - SHINGLE_SIZE + 1)})
        )
    return found


def _joined(pairs: Iterable[tuple[int, int]], number: int) -> Clusters:
    parent = list(range(number))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for left, right in pairs:
        low, high = sorted((root(left), root(right)))
        parent[high] = low
    return {one: root(one) for one in range(number)}


def _written(table: pa.Table, clusters: Clusters, out: Path) -> Callable[[], Clusters]:
    """Write the first row of each cluster."""
    first: dict[int, int] = {}
    for row, cluster in clusters.items():
        first.setdefault(cluster, row)
    pq.write_table(table.take(sorted(first.values())), out / "kept.parquet")
    return lambda: clusters


def datasketch_clusters(folder: Path, out: Path, bands: int, rows: int) -> Callable[[], Clusters]:
    """Run MinHash and MinHashLSH over our shingles in Python, and join what a query gives."""
    import xxhash
    from datasketch import MinHash, MinHashLSH

    table = rows_of(folder)
    index = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    empty = MinHash(num_perm=bands * rows, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    pairs: list[tuple[int, int]] = []
    for row, text in enumerate(table["text"].to_pylist()):
        (tokens,) = _token_sets([text])
        if tokens:
            sketch = empty.copy()
            sketch.update_batch(tokens)
            pairs.extend((other, row) for other in index.query(sketch))
            index.insert(row, sketch, check_duplication=False)
    return _written(table, _joined(pairs, table.num_rows), out)


def rensa_clusters(folder: Path, out: Path, bands: int, rows: int) -> Callable[[], Clusters]:
    """Run RMinHash over our shingles in Python, and join what shares one of its bands."""
    from rensa import RMinHash

    table = rows_of(folder)
    seen: list[dict[tuple[int, ...], int]] = [{} for _ in range(bands)]
    pairs: list[tuple[int, int]] = []
    texts = table["text"].to_pylist()
    for start in range(0, len(texts), 256):
        sets = _token_sets(texts[start : start + 256])
        digests = RMinHash.digest_matrix_from_token_byte_sets(sets, bands * rows, 42).to_rows()
        for row, (digest, tokens) in enumerate(zip(digests, sets, strict=True), start):
            for band in range(bands if tokens else 0):
                first = seen[band].setdefault(tuple(digest[band * rows : band * rows + rows]), row)
                if first != row:
                    pairs.append((first, row))
    return _written(table, _joined(pairs, table.num_rows), out)


SYSTEMS: dict[str, Callable[..., Callable[[], Clusters]]] = {
    "datatrove": lambda *given: datatrove_clusters(*given, plain=False),
    "datatrove, our tokens": lambda *given: datatrove_clusters(*given, plain=True),
    "text-dedup": text_dedup_clusters,
    "datasketch": datasketch_clusters,
    "rensa": rensa_clusters,
}


def _spent() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def _peak_mb() -> float:
    """Return the peak of the largest process; this one's own since it began, which a parent's rusage would not be."""
    own = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return max(int(own[1]) if own else 0, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def run() -> None:
    system, folder, out, bands, rows = sys.argv[1:]
    Path(out).mkdir(parents=True)
    wall = time.perf_counter()
    clusters = SYSTEMS[system](Path(folder), Path(out), int(bands), int(rows))
    usage = {
        "cpu_s": _spent(),
        "wall_s": time.perf_counter() - wall,
        "peak_mb": _peak_mb(),
    }
    found = defaultdict(list)
    for row, cluster in clusters().items():
        found[cluster].append(row)
    Path(out, "clusters.json").write_text(json.dumps(list(found.values())))
    Path(out, "usage.json").write_text(json.dumps(usage))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork", force=True)
    run()
