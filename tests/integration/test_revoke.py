"""Revoked documents leave shards without a trace, and everything else stays as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_corpus import write_corpus, write_pairs

from pipelines.pack import PackSettings, pack
from pipelines.revoke import Revocation, revoke
from pipelines.tokens import TokenSettings, tokenize_corpus
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.order import Infeasible
from training.shards import Shards, open_shards
from training.stores import open_stores

SMALL = TokenSettings(vocabulary=500, sample_bytes=60_000)
LENGTH = 64
SETTINGS = PackSettings(sequence_length=LENGTH, seed=5, shard_tokens=1280, texts=True)
MIX = Allocation({"python": 0.5, "go": 0.3, "pair:python-go": 0.2})
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("revoke")
    write_pairs(folder / "pairs", write_corpus(folder / "corpus"))
    tokenize_corpus(folder / "corpus", folder / "pairs", folder / "tokens", SMALL)
    pack(folder / "tokens", MIX, 20_000, folder / "packed", settings=SETTINGS)
    return folder


@pytest.fixture
def shards(place: Path, tmp_path: Path) -> Path:
    shutil.copytree(place / "packed", tmp_path / "shards", symlinks=True)
    return tmp_path / "shards"


def documents(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "documents.parquet").to_pylist()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def pieces(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.pieces.parquet")) for row in pq.read_table(path).to_pylist()]


def check_pieces(opened: Shards, tokens: Path) -> None:
    """Every token of the shards, and every target, is what its piece says; counts are those of the tokens."""
    stores = open_stores(tokens, "train")
    sizes: dict[str, int] = {}
    control: dict[str, int] = {}
    rows = pieces(opened.folder)
    for row in rows:
        store = stores[row["source"]]
        ids = opened.sequence(row["sequence"])[row["offset"] : row["offset"] + row["length"]]
        begin = store.starts[row["document"]] + row["start"]
        assert ids.tolist() == store.ids[begin : begin + row["length"]].tolist()
        if row["offset"] < LENGTH:
            sizes[row["source"]] = sizes.get(row["source"], 0) + int(store.id_bytes[ids].sum())
            control[row["source"]] = control.get(row["source"], 0) + np.count_nonzero(ids == 0)
    assert sum(row["length"] for row in rows) == len(opened) * (LENGTH + 1)
    assert dict(opened.manifest.bytes) == sizes
    for source, own in opened.manifest.composition.items():
        assert own["control"] == control[source]
        assert sum(own.values()) == opened.tokens[source]
    known = {(row["source"], row["document"]) for row in documents(opened.folder)}
    assert known == {(row["source"], row["document"]) for row in rows}


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "asked.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_repository_leaves_and_the_mix_stays(place: Path, shards: Path, tmp_path: Path) -> None:
    before, old = contents(shards), open_shards(shards)
    assert any("acme/python3" in row["repo_name"] for row in documents(shards))
    manifest = revoke(shards, listed(tmp_path, "acme/python3  # they asked"), place / "tokens")
    opened = open_shards(shards, verify=True)
    assert not any("acme/python3" in row["repo_name"] for row in documents(shards))
    for path in shards.glob("*.texts.parquet"):
        assert not any("acme/python3" in row["repo_name"] for row in pq.read_table(path).to_pylist())
    check_pieces(opened, place / "tokens")
    # The mix: the same tokens of each source at the same places.
    assert manifest["tokens"] == dict(old.tokens)
    assert [opened.source_of(i) for i in range(len(opened))] == [old.source_of(i) for i in range(len(old))]
    # Only shards that held the repository are other files now.
    gone = {
        (row["source"], row["document"])
        for row in pq.read_table(place / "packed" / "documents.parquet").to_pylist()
        if "acme/python3" in row["repo_name"]
    }
    touched = {
        row["sequence"] * LENGTH // 1280
        for row in pieces(place / "packed")
        if (row["source"], row["document"]) in gone and row["offset"] < LENGTH
    }
    numbers = range(len(old.manifest.shards))
    assert 0 < len(touched) < len(numbers)
    after = contents(shards)
    for number in numbers:
        same = after[f"shard-{number:05d}.bin"] == before[f"shard-{number:05d}.bin"]
        assert same == (number not in touched)
    replaced = {row["sequence"] for row in pieces(place / "packed") if (row["source"], row["document"]) in gone}
    packed = open_shards(place / "packed")
    for index in set(range(len(opened))) - replaced:
        assert opened.sequence(index).tolist() == packed.sequence(index).tolist()
    assert manifest["repeats"]["python"] > old.repeats["python"]
    assert manifest["revoked"]["python"] > 0
    assert manifest["fingerprint"] != json.loads(before["manifest.json"])["fingerprint"]
    # Once more changes nothing; another one still finds its documents, also those that came as replacements.
    kept = contents(shards)
    revoke(shards, tmp_path / "asked.txt", place / "tokens")
    assert contents(shards) == kept
    revoke(shards, listed(tmp_path, "acme/python5", "acme/go1"), place / "tokens")
    names = " ".join(row["repo_name"] for row in documents(shards))
    assert not any(name in names for name in ("python3", "python5", "go1"))
    assert "acme/python2" in names
    check_pieces(open_shards(shards, verify=True), place / "tokens")


def test_the_order_of_asking_leaves_nothing_of_either(place: Path, shards: Path, tmp_path: Path) -> None:
    """Targets count too: a token that only follows a sequence is of a document as well."""
    for repository in ("acme/go0", "acme/go2", "acme/go4", "acme/python0"):
        revoke(shards, listed(tmp_path, repository), place / "tokens")
        assert repository not in " ".join(row["repo_name"] for row in documents(shards))
        check_pieces(open_shards(shards, verify=True), place / "tokens")


def test_a_document_leaves_with_the_pairs_it_is_in(place: Path, shards: Path, tmp_path: Path) -> None:
    drawn = {row["id"] for row in documents(shards)}
    pair = next(row for row in pq.read_table(place / "pairs" / "pairs.parquet").to_pylist() if row["pair_id"] in drawn)
    revoke(shards, listed(tmp_path, f"document:{pair['left_document']}"), place / "tokens")
    assert not {pair["left_document"], pair["pair_id"]} & {row["id"] for row in documents(shards)}
    check_pieces(open_shards(shards, verify=True), place / "tokens")


def test_validation_text_leaves_too(place: Path, shards: Path, tmp_path: Path) -> None:
    store = open_stores(shards, "validation")["python"]
    known = store.table().to_pylist()
    gone = known[1]
    revoke(shards, listed(tmp_path, gone["id"]), place / "tokens")
    left = open_stores(shards, "validation", verify=True)["python"]
    kept = [row for row in known if row["id"] != gone["id"]]
    assert left.table(["id"])["id"].to_pylist() == [row["id"] for row in kept]
    expected = np.concatenate([store_ids(place, row) for row in kept])
    assert left.ids.tolist() == expected.tolist()


def store_ids(place: Path, row: Mapping[str, Any]) -> Any:
    return open_stores(place / "tokens", "validation")["python"].ids[row["start"] : row["end"]]


def test_too_little_left_changes_nothing(place: Path, shards: Path, tmp_path: Path) -> None:
    before = contents(shards)
    with pytest.raises(Infeasible) as caught:
        revoke(shards, listed(tmp_path, *(f"acme/go{n}" for n in range(7))), place / "tokens")
    assert caught.value.report["shortage"]["go"]["supply"] == 0
    assert contents(shards) == before


def test_what_cannot_be_revoked_from_is_refused(place: Path, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="names nothing"):
        revoke(shards, listed(tmp_path, "# nobody"), place / "tokens")
    with pytest.raises(BadInput, match="line 2: 'python'"):
        revoke(shards, listed(tmp_path, "acme/go1", "python"), place / "tokens")
    settings = TokenSettings(vocabulary=500, sample_bytes=60_000, pair_direction="both")
    tokenizer = place / "tokens" / "tokenizer.json"
    tokenize_corpus(place / "corpus", place / "pairs", tmp_path / "other", settings, tokenizer)
    with pytest.raises(BadInput, match="pair:python-go: these shards were packed from other tokens"):
        revoke(shards, listed(tmp_path, "acme/go1"), tmp_path / "other")
    for path in shards.glob("*.pieces.parquet"):
        path.unlink()
    with pytest.raises(BadInput, match="does not say where its tokens came from"):
        revoke(shards, listed(tmp_path, "acme/go1"), place / "tokens")


def test_a_pair_is_known_by_either_half_and_paths_may_have_spaces(tmp_path: Path) -> None:
    revocation = Revocation.read(listed(tmp_path, "b/r:my dir/**"))
    assert revocation._meant("git:a/l git:b/r", "x y.py my dir/z.go", set())
    assert not revocation._meant("git:a/l git:b/r", "my dir/x.py src/z.go", set())
    assert Revocation.read(listed(tmp_path, "A/L"))._meant("git:a/l git:b/r", "x y", set())


def test_a_kill_leaves_the_old_shards_whole(place: Path, shards: Path, tmp_path: Path) -> None:
    before = contents(shards)
    asked = listed(tmp_path, "acme/python1", "acme/go3")
    program = [sys.executable, "-m", "pipelines.cli", "pack", "--corpus", str(place / "tokens"), "--revoke", str(asked)]
    program += ["--out", str(shards)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for reached in ("shard-00003.pieces.parquet", "contract.html"):
        process = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not (tmp_path / ".shards.draft" / reached).exists() and time.monotonic() < end:
            assert process.poll() is None, "it was over before it could be killed"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert contents(shards) == before or "python1" not in str(documents(shards)), "the old or the new, whole"
        open_shards(shards, verify=True)
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    rows = {row["source"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["python"]["tokens"] == json.loads(before["manifest.json"])["tokens"]["python"]
    assert "python1" not in str(documents(shards))
    check_pieces(open_shards(shards, verify=True), place / "tokens")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked.txt", "shards"]


def test_revoking_is_not_packing(place: Path, shards: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "pipelines.cli", "pack", "--corpus", str(place / "tokens"), "--out", str(shards)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = ["--revoke", str(listed(tmp_path, "acme/go1")), "--tokens", "9k", "--fim-rate", "0.5"]
    for more, said in (
        (asked, "--tokens: goes with packing"),
        (asked, "--fim-rate: goes with packing"),
        ([], "--allocation: is needed to pack"),
    ):
        done = subprocess.run([*program, *more], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
