"""From a corpus to shards beside the bare tokenizer, and how fast the loader reads them.

    python -m tests.benchmark.bench_shards [--data FILE] [--out FILE.json] [--megabytes N]

DATA is what `tests.benchmark.data` writes; without it, the code of this project's own environment is read. The bare
tokenizer encodes the same texts with the same file of 32,768 ids on the same cores and writes nothing; ours sorts
the documents, tokenizes them into stores, packs all of it into shards with their indexes and tables, and checks what it
wrote. CPU seconds are those of all processes. Accuracy: documents whose ids in the stores are the bare tokenizer's.

The loader deals sequences to one process on one core, from a warm page cache: in order, at random places (as many at
once as it reads ahead), and first after a resume near the end. Read are the stores by an order, the same shuffled as in
training, and packed shards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.pack import PackSettings, pack
from pipelines.tokenizer import load_tokenizer, train_tokenizer
from pipelines.tokens import tokenize_corpus
from quality.artifacts import creating
from tests.benchmark.bench_tokenize import TRAINING_SHARE, VOCABULARY, texts
from tests.benchmark.measure import cpu_seconds, table
from training.allocation import Allocation
from training.loader import READ_AHEAD_TOKENS, OrderLoader, Sequences
from training.order import plan_order
from training.shards import open_shards
from training.shuffle import Shuffled
from training.stores import TokenStore, open_stores

SOURCE = "python"  # all languages go as one: packing does not look at them
BATCH = 8


def write_corpus(folder: Path, held_out: Sequence[str]) -> None:
    """Write texts in the layout of a corpus, as far as tokenizing reads it."""
    ids = [hashlib.sha256(f"{place}\0{text}".encode()).hexdigest()[:32] for place, text in enumerate(held_out)]
    rows = {
        "id": ids,
        "text": list(held_out),
        "repo_name": [f"git:bench/{place % 97}" for place in range(len(ids))],
        "path": [f"src/{place}.txt" for place in range(len(ids))],
        "length": [len(text.encode()) for text in held_out],
        "license_type": ["permissive"] * len(ids),
        "detected_licenses": [["MIT"]] * len(ids),
    }
    with creating(folder, "corpus", {"ids": ids}) as draft:
        place = draft.path / "documents" / f"language={SOURCE}" / "split=train"
        place.mkdir(parents=True)
        pq.write_table(pa.table(rows), place / "part-0.parquet")


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return CPU seconds of all processes, wall seconds, and what the work returned."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    result = work()
    return cpu_seconds() - cpu, time.perf_counter() - wall, result


def same(store: TokenStore, encoded: dict[str, list[int]]) -> float:
    """Return the fraction of documents that have the ids they should."""
    ids: list[str] = store.table(["id"])["id"].to_pylist()
    starts, ends = store.starts.tolist(), store.ends.tolist()
    right = sum(
        store.ids[start : end - 1].tolist() == encoded[identifier]
        for identifier, start, end in zip(ids, starts, ends, strict=True)
    )
    return right / len(ids)


def packing(root: Path, held_out: list[str], size_mb: float) -> list[dict[str, Any]]:
    """Measure tokenizing and packing beside the bare tokenizer."""
    tokenizer = load_tokenizer(root / "tokenizer.json")
    write_corpus(root / "corpus", held_out)
    cpu_bare, wall_bare, encodings = timed(lambda: tokenizer.encode_batch_fast(held_out, add_special_tokens=False))
    read = pq.read_table(root / "corpus" / "documents", partitioning=None, columns=["id"])["id"].to_pylist()
    encoded = dict(zip(read, (one.ids for one in encodings), strict=True))
    del encodings
    cpu_tokens, wall_tokens, _ = timed(
        lambda: tokenize_corpus(root / "corpus", None, root / "tokens", tokenizer=root / "tokenizer.json")
    )
    stores = open_stores(root / "tokens", "train")
    tokens = stores[SOURCE].tokens
    # The library that checks contracts is imported before: a start costs the same whatever there is to pack.
    pack(
        root / "tokens", Allocation({SOURCE: 1.0}), 4096, root / "started", settings=PackSettings(sequence_length=2048)
    )
    cpu_pack, wall_pack, _ = timed(
        lambda: pack(root / "tokens", Allocation({SOURCE: 1.0}), tokens, root / "shards", settings=PackSettings())
    )
    rows = [
        ("tokenizers alone, nothing written", cpu_bare, wall_bare),
        ("corpus to token stores", cpu_tokens, wall_tokens),
        ("token stores to shards", cpu_pack, wall_pack),
        ("corpus to shards", cpu_tokens + cpu_pack, wall_tokens + wall_pack),
    ]
    return [
        {
            "work": name,
            "mb": round(size_mb, 1),
            "cpu_s": round(cpu, 2),
            "wall_s": round(wall, 2),
            "mb_per_cpu_s": round(size_mb / cpu, 2),
            "of_bare_cpu": round(cpu_bare / cpu, 2),
            "of_bare_wall": round(wall_bare / wall, 2),
            "same_ids": round(same(stores[SOURCE], encoded), 6) if name == "corpus to token stores" else None,
        }
        for name, cpu, wall in rows
    ]


def loading(root: Path, length: int) -> list[dict[str, Any]]:
    """Measure the loader at a sequence length."""
    stores = open_stores(root / "tokens", "train")
    allocation, tokens = Allocation({SOURCE: 1.0}), stores[SOURCE].tokens
    pack(root / "tokens", allocation, tokens, root / "read", settings=PackSettings(sequence_length=length))
    orders: dict[str, Callable[[], Any]] = {
        "stores": lambda: plan_order(stores, allocation, tokens, length, 1),
        "stores, shuffled": lambda: Shuffled(plan_order(stores, allocation, tokens, length, 1), 1),
        "shards, shuffled": lambda: Shuffled(open_shards(root / "read"), 1),
    }
    rows: list[dict[str, Any]] = []
    for name, made in orders.items():
        order = made()
        number = len(order) // BATCH * BATCH
        places = np.random.default_rng(3).integers(0, len(order), number)
        sequences: Sequences = order.sequences

        def read(sequences: Sequences = sequences, number: int = number) -> None:
            batches = iter(OrderLoader(sequences, sequences=number, local_batch=BATCH, world=1, rank=0))
            for _ in range(number // BATCH):
                next(batches)

        def jump(sequences: Sequences = sequences, places: npt.NDArray[np.int64] = places) -> None:
            at_once = READ_AHEAD_TOKENS // length
            for first in range(0, len(places), at_once):
                sequences(places[first : first + at_once])

        read()  # warms the page cache
        in_order = min(timed_cpu(read) for _ in range(3))
        anywhere = min(timed_cpu(jump) for _ in range(3))
        resumed = [first_batch(made(), fraction, number) for fraction in (0.0, 0.9)]
        rows.append(
            {
                "reads": name,
                "sequence_length": length,
                "loader_mtok_per_core_s": round(number * length / in_order / 1e6, 1),
                "random_access_mtok_per_core_s": round(number * length / anywhere / 1e6, 1),
                "first_batch_ms": round(resumed[0] * 1e3, 2),
                "first_batch_at_90_percent_ms": round(resumed[1] * 1e3, 2),
            }
        )
    return rows


def timed_cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def first_batch(order: Any, fraction: float, sequences: int) -> float:
    """Return the CPU seconds until a new loader that resumes somewhere has its first batch."""

    def work() -> None:
        loader = OrderLoader(order.sequences, sequences=sequences, local_batch=BATCH, world=1, rank=0)
        loader.load_state_dict({"sequences_read": int(sequences * fraction) // BATCH * BATCH})
        next(iter(loader))

    return timed_cpu(work)


def main() -> None:
    parser = argparse.ArgumentParser(description="corpus to shards, and the loader")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--megabytes", type=float, default=60.0)
    arguments = parser.parse_args()
    files = texts(arguments.data, arguments.megabytes)
    held_out = [text for place, text in enumerate(files) if place % TRAINING_SHARE and text]
    size = sum(len(text.encode()) for text in held_out) / 1e6
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "tokenizer.json").write_text(train_tokenizer(files[::TRAINING_SHARE], VOCABULARY))
        packed = packing(root, held_out, size)
        print(f"\n{table(packed)}", flush=True)
        read = [row for length in (2048, 256) for row in loading(root, length)]
    print(f"\n{table(read)}")
    if arguments.out:
        arguments.out.write_text(json.dumps(packed + read, indent=2) + "\n")


if __name__ == "__main__":
    main()
