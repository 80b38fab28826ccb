from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality.artifacts import creating, file_sha256
from quality.contracts import run_contract
from quality.mistakes import BadInput
from training.shards import MIX_CONTRACT, SEQUENCE_SCHEMA, Shard, ShardManifest, open_shards, read_shard_manifest

ROWS = np.arange(20).reshape(5, 4)
SOURCES = ["go", "rust", "go", "go", "rust"]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    with creating(tmp_path / "shards", "shards", {}) as draft:
        files: list[Shard] = []
        for number, rows in enumerate((ROWS[:3], ROWS[3:])):
            path = draft.path / f"shard-{number:05d}.bin"
            rows.astype("<u2").tofile(path)
            files.append(Shard(path.name, rows.size, file_sha256(path)))
        (draft.path / "tokenizer.json").write_text("{}")
        table = {"source": SOURCES, "position": [0, 0, 1, 2, 1], "following": [90, 91, 92, 93, 94]}
        arrays = [pa.array(table[name], field.type) for name, field in zip(table, SEQUENCE_SCHEMA, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=SEQUENCE_SCHEMA), draft.path / "sequences.parquet")
        manifest = ShardManifest(
            target={"go": 11.0, "rust": 9.0},
            tokens={"go": 12, "rust": 8},
            bytes={"go": 30, "rust": 20},
            repeats={"go": 0.5, "rust": 1.5},
            shards=tuple(files),
            tokenizer=file_sha256(draft.path / "tokenizer.json"),
            sequence_length=4,
            seed=0,
            dtype="uint16",
        )
        draft.details.update(manifest.as_json())
    return tmp_path / "shards"


def change(folder: Path, **changed: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_sequences_run_over_the_shards(shards: Path) -> None:
    opened = open_shards(shards, verify=True)
    assert len(opened) == 5
    assert [opened.source_of(index) for index in range(5)] == SOURCES
    for index in (4, 0, 2, 3):
        assert opened.sequence(index).tolist() == [*ROWS[index].tolist(), 90 + index]
    assert pickle.loads(pickle.dumps(opened)).sequence(3).tolist() == [12, 13, 14, 15, 93]
    places = np.array([4, 0, 2, 3, 0])
    assert opened.sequences(places).tolist() == [opened.sequence(index).tolist() for index in places.tolist()]
    assert [opened.sources[code] for code in opened.codes_of(np.arange(5))] == SOURCES
    for index in (-1, 5):
        with pytest.raises(IndexError, match="of 5"):
            opened.sequences(np.array([0, index]))
        with pytest.raises(IndexError, match="of 5"):
            opened.sequence(index)


def test_damage_is_named_file_by_file(shards: Path) -> None:
    with (shards / "shard-00000.bin").open("ab") as stream:
        stream.write(b"\0\0")
    (shards / "shard-00001.bin").unlink()
    (shards / "tokenizer.json").write_text("[]")
    (shards / "sequences.parquet").write_bytes(b"")
    with pytest.raises(BadInput) as caught:
        open_shards(shards)
    said = [str(mistake) for mistake in caught.value.mistakes]
    assert len(said) == 4
    assert "26 bytes do not hold 12 tokens" in said[0]
    assert "shard-00001.bin: missing" in said[1]
    assert "is not the tokenizer" in said[2]
    assert "sequences.parquet: cannot be read" in said[3]


def test_a_changed_byte_and_a_changed_count_are_found_when_verified(shards: Path) -> None:
    path = shards / "shard-00001.bin"
    path.write_bytes(b"\7" + path.read_bytes()[1:])
    change(shards, tokens={"go": 8, "rust": 12})
    open_shards(shards)
    with pytest.raises(BadInput) as caught:
        open_shards(shards, verify=True)
    assert "SHA-256 differs" in str(caught.value)
    assert "the manifest says {'go': 8, 'rust': 12}" in str(caught.value)


def test_another_tokenizer_is_refused(shards: Path) -> None:
    with pytest.raises(BadInput, match="asked for cafecafecafe"):
        open_shards(shards, "cafe" * 16)


def test_every_wrong_field_of_a_manifest_is_named(shards: Path) -> None:
    change(shards, dtype="int8", seed=None, shards=[{"path": "x"}], sequence_length=0)
    with pytest.raises(BadInput) as caught:
        read_shard_manifest(shards)
    places = {mistake.where.rpartition(": ")[2] for mistake in caught.value.mistakes}
    assert places == {"dtype", "seed", "shards[0]", "sequence_length"}


def test_the_contract_holds_the_mix_to_its_target(shards: Path) -> None:
    manifest = read_shard_manifest(shards)
    assert all(row["success"] for row in run_contract(MIX_CONTRACT, manifest.mix()).to_pylist())
    change(shards, target={"go": 6.0, "rust": 14.0})
    rows = run_contract(MIX_CONTRACT, read_shard_manifest(shards).mix()).to_pylist()
    (failed,) = [row for row in rows if not row["success"]]
    assert "off_by" in failed["arguments"]
    assert failed["unexpected"] == 2


def test_a_share_of_less_than_a_sequence_is_no_breach(shards: Path) -> None:
    manifest = read_shard_manifest(shards)
    less = replace(
        manifest,
        target={**manifest.target, "rust": 0.4},
        tokens={**manifest.tokens, "rust": 0},
        bytes={**manifest.bytes, "rust": 0},
    )
    assert all(row["success"] for row in run_contract(MIX_CONTRACT, less.mix()).to_pylist())


def test_tokens_without_text_are_a_breach(shards: Path) -> None:
    manifest = read_shard_manifest(shards)
    source = next(iter(manifest.target))
    empty = replace(manifest, bytes={**manifest.bytes, source: 0})
    failed = [row for row in run_contract(MIX_CONTRACT, empty.mix()).to_pylist() if not row["success"]]
    assert [row["why"] for row in failed] == ["tokens without text"]
