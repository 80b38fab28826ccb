"""From a corpus to shards, through the command line and through the function."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_corpus import code, write_corpus, write_pairs

from parallel_mining.documents import pair_documents
from pipelines import tokens as tokens_module
from pipelines.pack import PackSettings, pack
from pipelines.tokenizer import load_tokenizer
from pipelines.tokens import TokenSettings, tokenize_corpus
from quality.artifacts import read_manifest
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.order import Infeasible, plan_order
from training.shards import open_shards
from training.stores import TokenStore, open_stores

SMALL = TokenSettings(vocabulary=500, sample_bytes=60_000)
MIX = Allocation({"python": 0.5, "go": 0.3, "pair:python-go": 0.2})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    write_pairs(folder / "pairs", write_corpus(folder / "corpus"))
    tokenize_corpus(folder / "corpus", folder / "pairs", folder / "tokens", SMALL)
    (folder / "a.json").write_text(json.dumps(MIX.as_json()))
    return folder


def polymix(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pipelines.cli", "pack", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True, env=environment, check=False)


def texts(store: TokenStore) -> list[str]:
    tokenizer = load_tokenizer(store.folder.parent.parent / "tokenizer.json")
    ends = store.ends.tolist()
    documents = [store.ids[start : end - 1].tolist() for start, end in zip(store.starts, ends, strict=True)]
    assert all(store.ids[end - 1] == 0 for end in ends), "each document ends in end-of-text"
    return tokenizer.decode_batch(documents, skip_special_tokens=False)


def test_stores_hold_every_document_by_id(place: Path, tmp_path: Path) -> None:
    rows = write_corpus(tmp_path / "corpus")
    train = open_stores(place / "tokens", "train", verify=True)
    assert list(train) == ["go", "pair:python-go", "python", "rust"]
    assert list(open_stores(place / "tokens", "validation")) == ["python"]
    for language in ("go", "python", "rust"):
        own = sorted(rows[language, "train"], key=lambda row: str(row["id"]))
        assert texts(train[language]) == [row["text"] for row in own]
        table = pq.read_table(train[language].folder / "documents.parquet").to_pylist()
        assert [(row["id"], row["path"], row["bytes"]) for row in table] == [
            (row["id"], row["path"], row["length"]) for row in own
        ]
        assert train[language].bytes_between(0, train[language].tokens) == train[language].bytes


def test_pairs_are_documents_of_both_halves(place: Path) -> None:
    rows = pq.read_table(place / "pairs" / "pairs.parquet").to_pylist()
    store = open_stores(place / "tokens", "train")["pair:python-go"]
    documents = [pair_documents(row, "prompt", "alternate")[0] for row in rows]
    assert texts(store) == [document.text for document in documents]
    prompts = sum(part.text.count("\n") for document in documents for part in document.parts if not part.is_code)
    described = json.loads((store.folder / "store.json").read_text())
    assert described["prompt_tokens"] > prompts
    assert described["code_tokens"] + described["prompt_tokens"] + store.documents == store.tokens
    assert pq.read_table(store.folder / "documents.parquet")["id"].to_pylist() == [row["pair_id"] for row in rows]


def test_parted_halves_have_the_code_tokens_of_parallel_documents(place: Path, tmp_path: Path) -> None:
    rows = pq.read_table(place / "pairs" / "pairs.parquet").to_pylist()
    halves = sorted(row[f"{side}_code"].strip("\r\n") + "\n" for row in rows for side in ("left", "right"))
    ids: dict[str, Counter[int]] = {}
    parted: list[list[int]] = []
    described: dict[str, dict[str, int]] = {}
    for style in ("prompt", "plain", "shuffled"):
        settings = TokenSettings(pair_style=style)
        tokens = tmp_path / style
        tokenize_corpus(place / "corpus", place / "pairs", tokens, settings, place / "tokens" / "tokenizer.json")
        store = open_stores(tokens, "train")["pair:python-go"]
        described[style] = json.loads((store.folder / "store.json").read_text())
        if style == "shuffled":
            ends = zip(store.starts.tolist(), store.ends.tolist(), strict=True)
            parted = [store.ids[start : end - 1].tolist() for start, end in ends]
            assert sorted(texts(store)) == halves
            assert texts(store) != halves
        ids[style] = Counter(store.ids.tolist())
    assert {own["code_tokens"] for own in described.values()} == {sum(map(len, parted))}
    assert described["shuffled"]["prompt_tokens"] == 0 < described["plain"]["prompt_tokens"]
    assert described["plain"]["prompt_tokens"] < described["prompt"]["prompt_tokens"]
    assert described["shuffled"]["documents"] == 2 * len(rows) == 2 * described["prompt"]["documents"]
    # Every code token stands in the parallel documents as often as in the parted ones; only what is added differs.
    extra = ids["prompt"] - ids["shuffled"]
    missing = ids["shuffled"] - ids["prompt"]
    assert sum(extra.values()) == described["prompt"]["prompt_tokens"]
    assert missing == Counter({0: len(rows)})


def test_how_the_corpus_lies_in_files_changes_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_corpus(tmp_path / "corpus", files=5)
    write_pairs(tmp_path / "pairs", rows)
    monkeypatch.setattr(tokens_module, "_BATCH_BYTES", 3000)
    monkeypatch.setattr(tokens_module, "_SORT_BYTES", 7000)
    tokenize_corpus(tmp_path / "corpus", tmp_path / "pairs", tmp_path / "tokens", SMALL)
    files = {path.relative_to(tmp_path / "tokens") for path in (tmp_path / "tokens").rglob("*.*") if path.is_file()}
    assert {"python/train/tokens.bin", "tokenizer.json"} < {str(path) for path in files}
    for path in files:
        if path.suffix in (".bin", ".json"):
            assert (tmp_path / "tokens" / path).read_bytes() == (place / "tokens" / path).read_bytes(), path


def test_shards_are_the_order_written_out(place: Path, tmp_path: Path) -> None:
    settings = PackSettings(sequence_length=64, seed=5, shard_tokens=6400)
    manifest = pack(place / "tokens", MIX, 30_000, tmp_path / "shards", settings=settings)
    shards = open_shards(tmp_path / "shards", verify=True)
    order = plan_order(open_stores(place / "tokens", "train"), MIX, 30_000, 64, 5)
    assert len(shards) == len(order) == 30_000 // 64
    for index in range(len(order)):
        assert shards.source_of(index) == order.source_of(index)
        assert shards.sequence(index).tolist() == order.sequence(index).tolist()
    assert [shard["tokens"] for shard in manifest["shards"]] == [6400] * 4 + [4352]
    for source, share in MIX.shares.items():
        assert abs(manifest["tokens"][source] - share * 30_000) < 64
        assert manifest["bytes"][source] == sum(
            order.bytes_of(index) for index in range(len(order)) if order.source_of(index) == source
        )
    assert manifest["repeats"]["pair:python-go"] > 0.5
    assert list(open_stores(tmp_path / "shards", "validation")) == ["python"]
    assert all(row["success"] for row in pq.read_table(tmp_path / "shards" / "contract.parquet").to_pylist())


def test_the_command_packs_a_corpus(place: Path, tmp_path: Path) -> None:
    arguments = ("--corpus", place / "corpus", "--pairs", place / "pairs", "--allocation", place / "a.json")
    sizes = ("--tokens", "20k", "--sequence-length", 100, "--vocabulary", 500)
    done = polymix(*arguments, *sizes, "--stores", "stores", "--out", "shards", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["source"]: row["tokens"] for row in rows} == {"python": 10_000, "go": 6000, "pair:python-go": 4000}
    ids = np.fromfile(tmp_path / "shards/shard-00000.bin", "<u2")
    assert len(ids) == 20_000
    manifest = read_manifest(tmp_path / "shards", "shards")
    assert manifest["shards"][0]["sha256"] == hashlib.sha256(ids.tobytes()).hexdigest()
    assert manifest["tokenizer"] == hashlib.sha256((tmp_path / "shards/tokenizer.json").read_bytes()).hexdigest()
    assert manifest["command"].startswith("polymix pack --corpus")

    huge = polymix(
        *arguments, "--tokens", "5M", "--vocabulary", 500, "--stores", "stores", "--out", "more", cwd=tmp_path
    )
    assert huge.returncode == 2
    assert "up to date" in huge.stderr, "the stores were kept, and used again"
    report = json.loads(huge.stderr.splitlines()[-1])
    assert set(report["shortage"]) == set(MIX.shares)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards", "stores"]


def test_a_parallel_share_without_pairs_says_what_is_feasible(place: Path, tmp_path: Path) -> None:
    settings = PackSettings(sequence_length=64)
    with pytest.raises(Infeasible) as caught:
        pack(place / "corpus", MIX, 20_000, tmp_path / "out", settings=settings, token_settings=SMALL)
    report = caught.value.report
    wanted = report["shortage"]["pair:python-go"]["wanted"]
    assert report["shortage"] == {"pair:python-go": {"wanted": wanted, "available": 0, "missing": wanted, "supply": 0}}
    assert abs(wanted - 4000) < 64
    assert report["nearest"]["allocation"]["shares"] == pytest.approx({"python": 0.625, "go": 0.375})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_others_is_not_written_over(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="exists and is not an artifact"):
        pack(place / "corpus", MIX, 20_000, tmp_path, pairs=place / "pairs", token_settings=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shares": {"python": 0.5, "cobol": 0.6}}')
    done = polymix(
        *("--corpus", "corpus", "--pairs", "pairs", "--allocation", "a.json", "--tokens", "lots", "--out", "out"),
        *("--tokenizer", "t.json", "--max-epochs", 0, "--sequence-length", 0),
        *("--stores", "a.json/stores", "--work", "/proc/work"),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    wanted = ["--tokens: 'lots'", "--max-epochs: 0", "--sequence-length: 0", "cobol", "corpus: no", "t.json"]
    for expected in (*wanted, "a.json is not a folder", "/proc/work/tasks: cannot be made"):
        assert any(expected in line for line in errors), expected
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"left_document": "f" * 32}, "is not in the corpus"),
        ({"split": "test"}, "split 'test'"),
        ({"verdict": "different"}, "only equivalent pairs"),
    ],
)
def test_pairs_that_cannot_be_trained_on_are_refused(
    place: Path, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    write_pairs(tmp_path / "pairs", write_corpus(tmp_path / "corpus"), 3, **changed)
    with pytest.raises(BadInput, match=said) as caught:
        tokenize_corpus(place / "corpus", tmp_path / "pairs", tmp_path / "tokens", SMALL)
    assert len(caught.value.mistakes) == 3
    assert not (tmp_path / "tokens").exists()


def test_validation_text_never_enters_training_pairs(tmp_path: Path) -> None:
    texts = {(name, split): [code(name, n) for n in range(4)] for name in ("python", "go") for split in ("train",)}
    texts["python", "validation"] = [code("python", 99)]
    rows = write_corpus(tmp_path / "corpus", texts)
    leaking = {**rows, ("python", "train"): rows["python", "validation"]}
    write_pairs(tmp_path / "pairs", leaking, 1)
    with pytest.raises(BadInput, match="a document of it is validation text"):
        tokenize_corpus(tmp_path / "corpus", tmp_path / "pairs", tmp_path / "tokens", SMALL)
    write_pairs(tmp_path / "pairs", leaking, 1, split="validation")
    tokenize_corpus(tmp_path / "corpus", tmp_path / "pairs", tmp_path / "tokens", SMALL)
    assert "pair:python-go" not in open_stores(tmp_path / "tokens", "train")
    assert open_stores(tmp_path / "tokens", "validation")["pair:python-go"].documents == 1


def test_a_tokenizer_that_loses_text_is_refused(place: Path, tmp_path: Path) -> None:
    lossy: dict[str, Any] = json.loads((place / "tokens" / "tokenizer.json").read_text())
    lossy["normalizer"] = {"type": "Strip", "strip_left": True, "strip_right": True}
    (tmp_path / "t.json").write_text(json.dumps(lossy))
    with pytest.raises(BadInput, match="this tokenizer loses text"):
        tokenize_corpus(place / "corpus", None, tmp_path / "tokens", SMALL, tmp_path / "t.json")
    assert not (tmp_path / "tokens").exists()


def test_a_given_tokenizer_is_used_as_it_is(place: Path, tmp_path: Path) -> None:
    given = place / "tokens" / "tokenizer.json"
    manifest = tokenize_corpus(place / "corpus", None, tmp_path / "tokens", None, given)
    assert (tmp_path / "tokens" / "tokenizer.json").read_bytes() == given.read_bytes()
    assert manifest["counts"]["vocabulary"] == load_tokenizer(given).get_vocab_size()
    assert open_stores(tmp_path / "tokens", "train")["go"].ids.tolist() == (
        open_stores(place / "tokens", "train")["go"].ids.tolist()
    )


def test_a_corpus_that_cannot_be_read_is_refused(place: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", {("go", "validation"): [code("go", 1)]})
    with pytest.raises(BadInput, match="no document in its training split"):
        tokenize_corpus(tmp_path / "corpus", None, tmp_path / "tokens", SMALL)
    write_corpus(tmp_path / "corpus")
    for path in (tmp_path / "corpus").rglob("language=go/split=train/part-0.parquet"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"language=go/split=train: cannot be read"):
        tokenize_corpus(tmp_path / "corpus", None, tmp_path / "tokens", SMALL)
    with pytest.raises(BadInput, match="holds a 'pairs'"):
        pack(place / "pairs", MIX, 10_000, tmp_path / "out")
    with pytest.raises(BadInput, match="only goes with a corpus"):
        pack(place / "tokens", MIX, 10_000, tmp_path / "out", pairs=place / "pairs")


@pytest.mark.parametrize("reached", ["tokens.bin", "shard-00000.bin"])
def test_a_kill_leaves_nothing_that_looks_finished(place: Path, tmp_path: Path, reached: str) -> None:
    settings = "PackSettings(sequence_length=64)"
    program = (
        "import sys, pathlib, json; from pipelines.pack import *; from pipelines.tokens import TokenSettings\n"
        "from training.allocation import read_allocation\n"
        f"pack({str(place / 'corpus')!r}, read_allocation({str(place / 'a.json')!r}), 30000, {str(tmp_path / 'out')!r},"
        f" pairs={str(place / 'pairs')!r}, settings={settings},"
        " token_settings=TokenSettings(vocabulary=500, sample_bytes=60000))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    # Folders come and go meanwhile, which `os.walk` does not mind.
    wait_for(lambda: any(reached in names for *_, names in os.walk(tmp_path)) or process.poll() is not None)
    assert process.poll() is None, "it was over before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    pack(
        place / "corpus",
        MIX,
        30_000,
        tmp_path / "out",
        pairs=place / "pairs",
        settings=PackSettings(sequence_length=64),
        token_settings=SMALL,
    )
    untouched = pack(place / "tokens", MIX, 30_000, tmp_path / "other", settings=PackSettings(sequence_length=64))
    assert read_manifest(tmp_path / "out", "shards")["shards"] == untouched["shards"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_what_is_told_to_end_leaves_nothing(place: Path, tmp_path: Path) -> None:
    corpus, temporary = ["--corpus", str(place / "corpus"), "--pairs", str(place / "pairs")], tmp_path / "temporary"
    temporary.mkdir()
    mix = ["--allocation", str(place / "a.json"), "--tokens", "40k", "--sequence-length", "8", "--vocabulary", "500"]
    program = [sys.executable, "-m", "pipelines.cli", "pack", *corpus, *mix, "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(temporary)}
    with subprocess.Popen(program, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (tmp_path / ".out.draft").exists() or process.poll() is not None)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert said.splitlines()[-1].startswith("stopped; nothing half-written counts as done")
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


def wait_for(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)


def test_stores_are_not_made_anew_for_other_settings(place: Path, tmp_path: Path) -> None:
    tokens, settings = place / "tokens", PackSettings(sequence_length=64)
    with pytest.raises(BadInput) as caught:
        pack(tokens, MIX, 20_000, tmp_path / "out", settings=settings, token_settings=TokenSettings(fim_rate=0.5))
    assert [(one.where, "made with 0.0" in one.what) for one in caught.value.mistakes] == [("--fim-rate", True)]
    assert list(tmp_path.iterdir()) == []
    pack(tokens, MIX, 20_000, tmp_path / "out", settings=settings, token_settings=SMALL)
    assert read_manifest(tmp_path / "out", "shards")["counts"]["tokens"] > 19_900


def test_stores_that_are_kept_are_never_replaced(place: Path, tmp_path: Path) -> None:
    arguments = ("--corpus", place / "corpus", "--pairs", place / "pairs", "--allocation", place / "a.json")
    arguments += ("--tokens", "20k", "--sequence-length", 100, "--stores", "stores")
    assert polymix(*arguments, "--vocabulary", 500, "--out", "shards", cwd=tmp_path).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = polymix(*arguments, "--tokenizer", place / "tokens" / "tokenizer.json", "--out", "more", cwd=tmp_path)
    assert other.returncode == 3, other.stderr
    assert "error: stores: tokenizer: made with null, asked for is " in other.stderr
    assert "Name another folder with --stores" in other.stderr.splitlines()[-1]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # What was revoked could be replaced by nothing, had the stores changed.
    (tmp_path / "asked.txt").write_text(f"document:{_one_document(tmp_path / 'stores')}\n")
    revoked = polymix("--corpus", "stores", "--revoke", "asked.txt", "--out", "shards", cwd=tmp_path)
    assert revoked.returncode == 0, revoked.stderr


def _one_document(stores: Path) -> str:
    return open_stores(stores, "train")["python"].table(["id"])["id"][0].as_py()


def test_stores_left_by_a_kill_are_no_obstacle(place: Path, tmp_path: Path) -> None:
    settings = PackSettings(sequence_length=64)
    given = place / "tokens" / "tokenizer.json"
    tokenize_corpus(place / "corpus", None, tmp_path / ".out.tokens", None, given)
    pack(
        place / "corpus",
        MIX,
        20_000,
        tmp_path / "out",
        pairs=place / "pairs",
        settings=settings,
        token_settings=SMALL,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
