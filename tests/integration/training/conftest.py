"""Small token stores of three languages that can be learnt, and an evaluation set, made once."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parallel_mining.evaluation import INSTANCE_SCHEMA
from quality.artifacts import creating

VOCABULARY = 64
TRAIN_TOKENS, VALIDATION_TOKENS = 12_000, 2_000


def write_store(root: Path, source: str, split: str, tokens: int, branching: int) -> None:
    """Write a store of a Markov chain in which each id is followed by one of `branching` others."""
    follows = np.random.default_rng(branching).integers(1, VOCABULARY, (VOCABULARY, branching))
    random = np.random.default_rng([branching, split == "validation"])
    ids = np.zeros(tokens, "<u2")
    for place in range(1, tokens):
        ids[place] = follows[ids[place - 1], random.integers(branching)] if (place + 1) % 100 else 0
    folder = root / source.replace(":", "_") / split
    folder.mkdir(parents=True)
    ids.tofile(folder / "tokens.bin")
    ends = np.arange(100, tokens + 1, 100)
    sizes = [int((np.array(part) > 0).sum()) * 2 for part in np.split(ids, ends)[: len(ends)]]
    pq.write_table(
        pa.table(
            {
                **{name: [f"{split}{n}" for n in range(len(ends))] for name in ("id", "repo_name", "path")},
                "license_type": ["permissive"] * len(ends),
                "start": ends - 100,
                "end": ends,
                "bytes": sizes,
            }
        ),
        folder / "documents.parquet",
    )
    described = {
        "source": source,
        "split": split,
        "dtype": "uint16",
        "tokens": tokens,
        "documents": len(ends),
        "bytes": sum(sizes),
        "tokenizer": hashlib.sha256((root / "tokenizer.json").read_bytes()).hexdigest(),
        "sha256": hashlib.sha256(ids.tobytes()).hexdigest(),
    }
    (folder / "store.json").write_text(json.dumps(described))


@pytest.fixture(scope="session")
def tokens_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokens") / "tokens"
    root.mkdir()
    # Two digits a token: enough of a tokenizer to be loaded, and every text of numbers has its own ids.
    marks = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    tokenizer = {
        "version": "1.0",
        "model": {
            "type": "WordLevel",
            "vocab": {"<|endoftext|>": 0, **{f"{n:02d}": n for n in range(1, VOCABULARY)}},
            "unk_token": "01",
        },
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ".."}, "behavior": "Isolated", "invert": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": True, **marks}],
    }
    (root / "tokenizer.json").write_text(json.dumps(tokenizer))
    for branching, source in ((2, "python"), (4, "go"), (8, "rust")):
        write_store(root, source, "train", TRAIN_TOKENS, branching)
        write_store(root, source, "validation", VALIDATION_TOKENS, branching)
    manifest = {"kind": "tokens", "fingerprint": "toy", "identity": {}, "command": "", "counts": {}}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


@pytest.fixture(scope="session")
def paired(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The stores with pairs, and beside them the same with the halves of pairs parted."""
    root = tmp_path_factory.mktemp("paired")
    for name, branching in (("parallel", 5), ("shuffled", 6)):
        shutil.copytree(tokens_dir, root / name)
        write_store(root / name, "pair:python-go", "train", 8000, branching)
    return root / "parallel", root / "shuffled"


def instance(target: str, prompt: str, wanted: str, *, seen: bool) -> dict[str, Any]:
    texts = [field.name for field in INSTANCE_SCHEMA if pa.types.is_string(field.type)]
    lists = [field.name for field in INSTANCE_SCHEMA if pa.types.is_list(field.type)]
    return {
        **dict.fromkeys(texts, "x"),
        **{name: [] for name in lists},
        "compared": 8,
        "agreed": 8,
        "instance_id": prompt + wanted,
        "source_language": "python",
        "target_language": target,
        "prompt": prompt,
        "target_code": wanted,
        "seen": seen,
    }


@pytest.fixture(scope="session")
def evaluation_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation set in the texts of the toy tokenizer, one of its instances longer than a sequence."""
    folder = tmp_path_factory.mktemp("evaluation") / "evaluation"
    rows = [
        instance("go", "010203", "0405", seen=True),
        instance("go", "0707", "080910", seen=True),
        instance("rust", "01" * 10, "02", seen=False),
        instance("rust", "01" * 40, "02", seen=False),
    ]
    with creating(folder, "evaluation", {"rows": 4}) as draft:
        pq.write_table(pa.Table.from_pylist(rows, INSTANCE_SCHEMA), draft.path / "instances.parquet")
    return folder
