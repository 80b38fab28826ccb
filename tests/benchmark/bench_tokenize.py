"""Documents to token ids in datatrove's format: our step beside datatrove's own, and the bare tokenizer beneath both.

    python -m tests.benchmark.bench_tokenize [--data FILE] [--out FILE.json] [--megabytes N]

DATA is what `tests.benchmark.data` writes; without it, the code of this project's own environment is read. All three
use one tokenizer of 32,768 ids, trained on other files. CPU seconds are those of this process with all its threads.
Accuracy: documents whose ids are those that the bare tokenizer gives with control tokens spelt in text kept as text,
and control tokens that a text became inside a document.
"""

from __future__ import annotations

import argparse
import json
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.tokens.tokenizer import DocumentTokenizer

from pipelines.streaming import TokenWriter
from pipelines.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer

VOCABULARY = 32_768
TRAINING_SHARE = 3  # every third file


def texts(data: Path | None, megabytes: float) -> list[str]:
    """Return decodable source files, languages mixed, of so many megabytes."""
    found: list[str] = []
    size = 0.0
    if data is not None:
        table = pq.read_table(data, columns=["language", "path", "data"])
        table = table.filter(table["language"].is_valid())
        order = np.random.default_rng(17).permutation(table.num_rows)
        blobs = (table["data"][int(row)].as_py() for row in order)
    else:
        site = Path(sysconfig.get_paths()["purelib"])
        blobs = (path.read_bytes() for path in sorted(site.glob("*/**/*.py")))
    for blob in blobs:
        try:
            found.append(blob.decode())
        except UnicodeDecodeError:
            continue
        size += len(blob) / 1e6
        if size >= megabytes:
            break
    return found


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return CPU and wall seconds, and what the work returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def split(folder: Path) -> list[list[int]]:
    """Return the ids of each document that was written, without the one that ends it."""
    [path] = folder.glob("*.ds")
    ends = np.fromfile(f"{path}.index", "<u8").astype(np.int64)
    return [own[:-1].tolist() for own in np.split(np.fromfile(path, "<u2"), ends[:-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description="tokens per CPU second")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--megabytes", type=float, default=60.0)
    arguments = parser.parse_args()
    files = texts(arguments.data, arguments.megabytes)
    held_out = [text for place, text in enumerate(files) if place % TRAINING_SHARE]
    held_out.append(f'marker = "{END_OF_TEXT}"\n')
    size = sum(len(text.encode()) for text in held_out) / 1e6
    documents = [Document(text, str(place)) for place, text in enumerate(held_out)]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        path = root / "tokenizer.json"
        path.write_text(train_tokenizer(files[::TRAINING_SHARE], VOCABULARY))
        tokenizer = load_tokenizer(path)
        end = tokenizer.token_to_id(END_OF_TEXT)

        def bare() -> list[Any]:
            return tokenizer.encode_batch_fast(held_out, add_special_tokens=False)

        def ours() -> None:
            TokenWriter(root / "ours", path).run(iter(documents))

        def theirs() -> None:
            step = DocumentTokenizer(str(root / "theirs"), str(path), eos_token=END_OF_TEXT, shuffle_documents=False)
            step.run(iter(documents))

        cpu, wall, encodings = timed(bare)
        truth = [one.ids for one in encodings]
        found = [("tokenizers alone, nothing written", cpu, wall, truth)]
        for system, work, folder in (
            ("polymix TokenWriter", ours, root / "ours"),
            ("datatrove DocumentTokenizer", theirs, root / "theirs"),
        ):
            cpu, wall, _ = timed(work)
            found.append((system, cpu, wall, split(folder)))
    for system, cpu, wall, ids in found:
        row = {
            "system": system,
            "mb": round(size, 1),
            "cpu_s": round(cpu, 2),
            "wall_s": round(wall, 2),
            "mb_per_cpu_s": round(size / cpu, 2),
            "same_ids": round(sum(a == b for a, b in zip(ids, truth, strict=True)) / len(truth), 6),
            "control_tokens_from_text": sum(own.count(end) for own in ids),
        }
        rows.append(row)
    print(f"{'system':36}{'MB':>8}{'CPU s':>8}{'wall s':>8}{'MB/CPU s':>10}{'same ids':>10}{'control':>9}")
    for row in rows:
        print("{:36}{:8}{:8}{:8}{:10}{:10}{:9}".format(*row.values()))
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
