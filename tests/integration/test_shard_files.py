"""Shards are read back by the libraries whose formats they are, and every token leads back to its document."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_corpus import write_corpus, write_pairs

from pipelines.pack import PackSettings, pack
from pipelines.tokenizer import load_tokenizer
from pipelines.tokens import TokenSettings, tokenize_corpus
from quality.mistakes import BadInput
from training.allocation import Allocation, Stage, staged
from training.order import plan_order
from training.shards import Shards, open_shards
from training.stores import open_stores
from training.train import train

SMALL = TokenSettings(vocabulary=500, sample_bytes=60_000)
LENGTH = 64
SETTINGS = PackSettings(sequence_length=LENGTH, seed=5, shard_tokens=6400, texts=True)
MIX = Allocation({"python": 0.5, "go": 0.3, "pair:python-go": 0.2})
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shard_files")
    write_pairs(folder / "pairs", write_corpus(folder / "corpus"))
    tokenize_corpus(folder / "corpus", folder / "pairs", folder / "tokens", SMALL)
    pack(folder / "tokens", MIX, 30_000, folder / "shards", settings=SETTINGS)
    return folder


@pytest.fixture(scope="module")
def shards(place: Path) -> Shards:
    return open_shards(place / "shards", verify=True)


def document_ends(shards: Shards) -> list[list[int]]:
    """Return, for each sequence, where its pieces end; an end-of-text token ends a document."""
    found: list[list[int]] = []
    for index in range(len(shards)):
        ends = (np.flatnonzero(shards.sequence(index)[:-1] == 0) + 1).tolist()
        found.append(ends if ends and ends[-1] == LENGTH else [*ends, LENGTH])
    return found


def test_datatrove_reads_the_sequences_and_where_documents_end(shards: Shards) -> None:
    from datatrove.utils.dataset import DatatroveFolderDataset

    read = DatatroveFolderDataset(str(shards.folder), LENGTH - 1, filename_pattern="*.ds", return_positions=True)
    assert len(read) == len(shards)
    for index, ends in enumerate(document_ends(shards)):
        row = read[index]
        assert row["input_ids"].tolist() == shards.sequence(index)[:-1].tolist()
        starts = [0, *ends[:-1]]
        positions = [place - max(start for start in starts if start <= place) for place in range(LENGTH)]
        assert row["positions"].tolist() == positions, "counted from the start of each document"
    for shard in shards.manifest.shards:
        payload = shards.folder / shard.path
        assert payload.samefile(payload.with_suffix(".ds")), "one payload"
        said = (shards.folder / f"{payload.stem}.ds.metadata").read_text().split("\n")
        assert said[:2] == [f"tokenizer.json@{shards.tokenizer}|2", str(shard.tokens)]


def test_the_index_for_megatron_has_its_layout(shards: Shards) -> None:
    """Read by the published layout, without the library."""
    for shard in shards.manifest.shards:
        data = (shards.folder / shard.path).with_suffix(".idx").read_bytes()
        count = shard.tokens // LENGTH
        assert data[:9] == b"MMIDIDX\0\0"
        assert struct.unpack_from("<QBQQ", data, 9) == (1, 8, count, count + 1)
        assert np.frombuffer(data, "<i4", count, 34).tolist() == [LENGTH] * count
        assert np.frombuffer(data, "<i8", count, 34 + 4 * count).tolist() == [2 * LENGTH * k for k in range(count)]
        assert np.frombuffer(data, "<i8", count + 1, 34 + 12 * count).tolist() == list(range(count + 1))
        assert len(data) == 34 + 20 * count + 8


MEGATRON = """
import json, sys, types
from importlib.util import find_spec
from pathlib import Path
root = Path(next(iter(find_spec("megatron").submodule_search_locations)))
# The package's own __init__ imports all of Megatron; its data sets need none of it.
for name, folder in (("megatron.core", root / "core"), ("megatron.core.datasets", root / "core" / "datasets")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]
import megatron.core.parallel_state
from megatron.core.datasets.indexed_dataset import IndexedDataset
for prefix in sys.argv[1:]:
    read = IndexedDataset(prefix)
    print(json.dumps([str(read.index.dtype.__name__), read.document_indices.tolist(), [row.tolist() for row in read]]))
"""


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("megatron") is None, reason="megatron-core is not installed")
def test_megatron_reads_the_sequences(shards: Shards) -> None:
    prefixes = [str((shards.folder / shard.path).with_suffix("")) for shard in shards.manifest.shards]
    program = [sys.executable, "-W", "ignore", "-c", MEGATRON, *prefixes]
    lines = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    index = 0
    for line in lines:
        dtype, documents, rows = json.loads(line)
        assert dtype == "uint16"
        assert documents == list(range(len(rows) + 1))
        for row in rows:
            assert row == shards.sequence(index)[:-1].tolist()
            index += 1
    assert index == len(shards)


def test_every_token_leads_to_its_document(place: Path, shards: Shards) -> None:
    stores = open_stores(place / "tokens", "train")
    known = {source: store.table().to_pylist() for source, store in stores.items()}
    order = plan_order(stores, MIX, 30_000, LENGTH, 5)
    for index in range(0, len(shards), 7):
        ids = shards.sequence(index)
        for offset in (0, 1, 31, 63):
            found = shards.document_at(index * LENGTH + offset)
            assert found["source"] == order.source_of(index)
            assert found["token"] == ids[offset]
            rows = [row for row in known[found["source"]] if row["id"] == found["document"]["id"]]
            assert len(rows) == 1
            for name in ("repo_name", "path", "license_type", "detected_licenses"):
                assert found["document"][name] == rows[0][name]
            assert rows[0]["detected_licenses"] == ["MIT"]
            store = stores[found["source"]]
            assert store.ids[rows[0]["start"] + found["document_offset"]] == ids[offset]
            assert found["document_offset"] < rows[0]["end"] - rows[0]["start"] == found["document"]["tokens"]
            assert found["shard"] == f"shard-{index * LENGTH // 6400:05d}.bin"
            assert np.fromfile(shards.folder / found["shard"], "<u2")[found["offset"]] == ids[offset]
    with pytest.raises(IndexError, match="token 29952 of 29952"):
        shards.document_at(len(shards) * LENGTH)


def test_the_command_shows_a_token(shards: Shards) -> None:
    program = [sys.executable, "-m", "pipelines.cli", "show", str(shards.folder), "--token", "0", "--token"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*program, "7000"], capture_output=True, text=True, env=environment, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    tokenizer = load_tokenizer(shards.folder / "tokenizer.json")
    for row, token in zip(rows, (0, 7000), strict=True):
        assert row.pop("text") == tokenizer.decode([row["token"]], skip_special_tokens=False)
        assert row == shards.document_at(token)
    wrong = subprocess.run([*program, "99999999"], capture_output=True, text=True, env=environment, check=False)
    assert wrong.returncode == 2
    assert "error: --token: token 99999999 of 29952" in wrong.stderr


def test_the_texts_are_what_the_tokens_stand_for(shards: Shards) -> None:
    rows = [
        row
        for shard in shards.manifest.shards
        for row in pq.read_table((shards.folder / shard.path).with_suffix(".texts.parquet")).to_pylist()
    ]
    tokenizer = load_tokenizer(shards.folder / "tokenizer.json")
    texts: dict[int, str] = {}
    for row in rows:
        texts[row["sequence"]] = texts.get(row["sequence"], "") + row["text"]
        assert row["source"] == shards.source_of(row["sequence"])
        assert row["repo_name"].startswith("git:acme/")
    for index in range(len(shards)):
        assert texts[index] == tokenizer.decode(shards.sequence(index)[:-1].tolist(), skip_special_tokens=True)


def test_prompts_and_control_tokens_are_counted_apart(place: Path, shards: Shards) -> None:
    for source, counts in shards.manifest.composition.items():
        assert sum(counts.values()) == shards.tokens[source]
        assert (counts["prompts"] > 0) == source.startswith("pair:")
        own = [shards.sequence(i)[:-1] for i in range(len(shards)) if shards.source_of(i) == source]
        assert counts["control"] == np.count_nonzero(np.concatenate(own) == 0)
    # Over one whole epoch, to the sequence, the counts are those of the stores.
    store = open_stores(place / "tokens", "train")["pair:python-go"]
    described = json.loads((store.folder / "store.json").read_text())
    once = pack(
        place / "tokens",
        Allocation({"pair:python-go": 1.0}),
        store.tokens,
        place / "once",
        settings=PackSettings(sequence_length=1),
    )
    assert once["composition"]["pair:python-go"] == {
        "content": described["code_tokens"],
        "prompts": described["prompt_tokens"],
        "control": store.documents,
    }
    assert once["text_settings"]["pair_style"] == "prompt"


def test_pairs_and_parted_halves_have_the_same_code_tokens_in_shards(place: Path, tmp_path: Path) -> None:
    code: dict[str, int] = {}
    supplies: dict[str, int] = {}
    for style in ("prompt", "plain", "shuffled"):
        settings = TokenSettings(pair_style=style)
        tokenize_corpus(
            place / "corpus", place / "pairs", tmp_path / style, settings, place / "tokens" / "tokenizer.json"
        )
        supply = open_stores(tmp_path / style, "train")["pair:python-go"].tokens
        supplies[style] = supply
        packed = pack(
            tmp_path / style,
            Allocation({"pair:python-go": 1.0}),
            2 * supply,
            tmp_path / f"{style}-shards",
            settings=PackSettings(sequence_length=2, texts=False),
        )
        assert packed["repeats"]["pair:python-go"] == 2
        code[style] = packed["composition"]["pair:python-go"]["content"]
    assert len(set(code.values())) == 1
    # A separator of one token in place of an end-of-text: both arms have the very same number of tokens.
    assert supplies["plain"] == supplies["shuffled"] < supplies["prompt"]


def test_a_curriculum_is_packed_stage_by_stage(place: Path, tmp_path: Path) -> None:
    stages = [Stage(10_000, {"python": 1.0}), Stage(30_000, {"go": 0.75, "python": 0.25})]
    manifest = pack(place / "tokens", staged(stages), 30_000, tmp_path / "shards", settings=SETTINGS)
    shards = open_shards(tmp_path / "shards", verify=True)
    drawn = [shards.source_of(index) for index in range(len(shards))]
    assert set(drawn[: 10_000 // LENGTH]) == {"python"}
    assert abs(drawn[10_000 // LENGTH + 1 :].count("go") * LENGTH - 15_000) < 2 * LENGTH
    for source, target in manifest["target"].items():
        assert abs(manifest["tokens"][source] - target) < LENGTH
    assert manifest["identity"]["allocation"]["stages"][0] == {"until_tokens": 10_000, "shares": {"python": 1.0}}
    with pytest.raises(BadInput, match="has stages; pack it"):
        train(place / "tokens", "25k", 20_000, tmp_path / "run", allocation=staged(stages), sequence_length=LENGTH)
