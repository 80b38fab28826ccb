"""Natural language, whole repositories and fill-in-the-middle, from texts to shards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_corpus import code, write_corpus, write_pairs

from pipelines import tokens as tokens_module
from pipelines.pack import PackSettings, pack
from pipelines.tokenizer import FIM_TOKENS, Encoder, fim_ids, load_tokenizer, train_tokenizer
from pipelines.tokens import TokenSettings, fill_in_the_middle, tokenize_corpus
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.order import plan_order
from training.shards import open_shards
from training.stores import DTYPES, TokenStore, open_stores

SMALL: dict[str, Any] = {"vocabulary": 500, "sample_bytes": 60_000}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text_settings")
    write_pairs(folder / "pairs", write_corpus(folder / "corpus"))
    return folder


def prose(number: int) -> str:
    return f"Chapter {number}. It was a <|endoftext|> kind of day, the {number * 17}th of its sort.\n" * 3


def documents(store: TokenStore) -> list[tuple[dict[str, Any], list[int]]]:
    rows = store.table().to_pylist()
    return [(row, store.ids[row["start"] : row["end"]].tolist()) for row in rows]


def text_rows(count: int = 200) -> list[dict[str, Any]]:
    return [{"id": f"n{number:03d}", "text": prose(number), "license": "CC0-1.0"} for number in range(count)]


def test_natural_language_comes_from_json_lines_or_parquet(place: Path, tmp_path: Path) -> None:
    rows = text_rows()
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows[::-1]), tmp_path / "wiki.parquet", row_group_size=17)
    stores: dict[str, tuple[TokenStore, TokenStore]] = {}
    for ending in ("jsonl", "parquet"):
        settings = TokenSettings(**SMALL, text_validation_share=0.1)
        texts = {"wiki": tmp_path / f"wiki.{ending}"}
        tokenize_corpus(place / "corpus", place / "pairs", tmp_path / ending, settings, texts=texts)
        found = [open_stores(tmp_path / ending, split)["text:wiki"] for split in ("train", "validation")]
        stores[ending] = found[0], found[1]
    for one, other in zip(*stores.values(), strict=True):
        assert one.ids.tolist() == other.ids.tolist(), "neither the format nor the order of rows matters"
    train, held_out = stores["jsonl"]
    ids = [row["id"] for row, _ in documents(train)], [row["id"] for row, _ in documents(held_out)]
    assert ids[0] == sorted(ids[0])
    assert sorted([*ids[0], *ids[1]]) == [row["id"] for row in rows]
    assert 5 < len(ids[1]) < 50
    tokenizer = load_tokenizer(tmp_path / "jsonl" / "tokenizer.json")
    for row, own in documents(train):
        assert own.count(0) == 1, "text that spells a control token stays text"
        assert tokenizer.decode(own[:-1], skip_special_tokens=False) == prose(int(row["id"][1:]))
        assert (row["detected_licenses"], row["repo_name"], row["license_type"]) == (
            ["CC0-1.0"],
            "text:wiki",
            "unknown",
        )
    mix = Allocation({"text:wiki": 0.5, "go": 0.5})
    manifest = pack(tmp_path / "jsonl", mix, 9000, tmp_path / "shards", settings=PackSettings(sequence_length=50))
    assert manifest["tokens"] == {"go": 4500, "text:wiki": 4500}


def test_much_natural_language_is_sorted_outside_memory(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.Table.from_pylist(text_rows()), tmp_path / "wiki.parquet", row_group_size=17)
    for name in ("whole", "parted"):
        for order in ("id", "repository"):
            settings = TokenSettings(**SMALL, document_order=order)
            out = tmp_path / f"{name}-{order}"
            tokenize_corpus(place / "corpus", place / "pairs", out, settings, texts={"w": tmp_path / "wiki.parquet"})
        monkeypatch.setattr(tokens_module, "_BATCH_BYTES", 3000)
        monkeypatch.setattr(tokens_module, "_SORT_BYTES", 7000)
    for order in ("id", "repository"):
        files = sorted(
            path.relative_to(tmp_path / f"whole-{order}") for path in tmp_path.glob(f"whole-{order}/*/*/*.bin")
        )
        assert len(files) >= 6
        for path in files:
            both = [(tmp_path / f"{name}-{order}" / path).read_bytes() for name in ("whole", "parted")]
            assert both[0] == both[1], path


def test_texts_without_ids_are_known_by_what_they_say(place: Path, tmp_path: Path) -> None:
    rows = [{"text": prose(number)} for number in (*range(60), *range(20))]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenize_corpus(
        place / "corpus", place / "pairs", tmp_path / "out", TokenSettings(**SMALL), texts={"t": tmp_path / "t.jsonl"}
    )
    splits = ("train", "validation")
    found = [open_stores(tmp_path / "out", s).get("text:t") for s in splits]
    assert sum(store.documents for store in found if store is not None) == 60, "the same text twice is one document"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", "words": "x"}], "no such column"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "not unique"),
        ([{"id": "a", "text": None}, {"id": "b", "text": "x"}], "rows without id or text"),
        ([{"id": "a", "text": ""}], "no text for the training split"),
    ],
)
def test_texts_that_cannot_be_used_are_refused(
    place: Path, tmp_path: Path, rows: list[Mapping[str, Any]], said: str
) -> None:
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadInput, match=said):
        tokenize_corpus(place / "corpus", None, tmp_path / "out", texts={"t": tmp_path / "t.jsonl"})


def repository_corpus(folder: Path) -> None:
    """Three Python repositories of which the files import each other, in the layout of a corpus."""
    rows = write_corpus(folder, {("python", "train"): [code("python", n, 2) for n in range(21)]})
    (path,) = folder.glob("documents/language=python/split=train/part-0.parquet")
    table = pq.read_table(path)
    changed: list[dict[str, Any]] = []
    for place, row in enumerate(table.to_pylist()):
        number, repository = place // 3, place % 3
        uses = f"from lib import file{number - 1}\n" if number else ""
        changed.append({**row, "repo_name": f"git:acme/r{repository}", "path": f"lib/file{number}.py"})
        changed[-1]["text"] = uses + row["text"]
        changed[-1]["length"] = len(changed[-1]["text"])
    pq.write_table(pa.Table.from_pylist(changed, table.schema), path)
    for other in folder.glob("documents/language=python/split=train/part-1.parquet"):
        other.unlink()
    assert rows


def test_whole_repositories_are_drawn_with_their_files_in_order(tmp_path: Path) -> None:
    repository_corpus(tmp_path / "corpus")
    settings = TokenSettings(**SMALL, document_order="repository")
    tokenize_corpus(tmp_path / "corpus", None, tmp_path / "tokens", settings)
    store = open_stores(tmp_path / "tokens", "train", verify=True)["python"]
    rows = documents(store)
    sizes = {
        name: sum(row["repo_name"] == name for row, _ in rows)
        for name in dict.fromkeys(r["repo_name"] for r, _ in rows)
    }
    assert np.diff(np.concatenate([[0], store.units])).tolist() == list(sizes.values())
    for end, (row, ids) in enumerate(rows, start=1):
        last = end in store.units
        assert (ids[-1] == 0) == last == (0 in ids), "end-of-text comes behind a repository, not behind a file"
        assert row["path"] == f"lib/file{end - 1 - max(u for u in [0, *store.units.tolist()] if u < end)}.py"
    order = plan_order({"python": store}, Allocation({"python": 1.0}), 3 * store.tokens, 16, 2)
    stream = np.concatenate([order.sequence(index)[:-1] for index in range(len(order))])
    wholes = np.split(store.ids, np.flatnonzero(store.ids == 0) + 1)[:-1]
    known = {tuple(own.tolist()) for own in wholes}
    assert len(known) == 3
    drawn = [tuple(own.tolist()) for own in np.split(stream, np.flatnonzero(stream == 0) + 1)[:-1]]
    assert len(drawn) >= 8
    for epoch in range(2):
        assert set(drawn[3 * epoch : 3 * epoch + 3]) == known, "each once before any comes again"


def test_fill_in_the_middle_turns_documents_round(place: Path, tmp_path: Path) -> None:
    settings = TokenSettings(**SMALL, fim_rate=0.5)
    tokenize_corpus(place / "corpus", place / "pairs", tmp_path / "tokens", settings)
    tokenizer = load_tokenizer(tmp_path / "tokens" / "tokenizer.json")
    prefix, suffix, middle = fim_ids(tokenizer)
    assert [tokenizer.token_to_id(name) for name in FIM_TOKENS] == [prefix, suffix, middle] == [1, 2, 3]
    corpus = {
        row["id"]: row["text"]
        for path in place.glob("corpus/documents/*/*/*.parquet")
        for row in pq.read_table(path, partitioning=None).to_pylist()
    }
    kinds = {"whole": 0, "psm": 0, "spm": 0}
    stores = open_stores(tmp_path / "tokens", "train", verify=True)
    for source in ("python", "go", "rust"):
        for row, ids in documents(stores[source]):
            text = {
                k: tokenizer.decode(v, skip_special_tokens=False)
                for k, v in parted(ids[:-1], prefix, suffix, middle).items()
            }
            if set(text) == {"whole"}:
                kinds["whole"] += 1
                assert text["whole"] == corpus[row["id"]]
            else:
                kinds["psm" if ids[1] != suffix else "spm"] += 1
                joined = text["prefix"] + text["middle"] + text["suffix"]
                assert joined == corpus[row["id"]]
            assert row["bytes"] == len(corpus[row["id"]].encode())
    assert all(count > 10 for count in kinds.values()), kinds
    for store in (stores["pair:python-go"], open_stores(tmp_path / "tokens", "validation")["python"]):
        assert not {prefix, suffix, middle} & set(store.ids.tolist()), "pairs and validation text stay as they are"
    mix = Allocation({"go": 1.0})
    manifest = pack(tmp_path / "tokens", mix, 8000, tmp_path / "shards", settings=PackSettings(sequence_length=50))
    assert manifest["text_settings"]["fim_rate"] == 0.5
    ids = np.concatenate([open_shards(tmp_path / "shards").sequence(i)[:-1] for i in range(160)])
    assert manifest["composition"]["go"]["control"] == np.count_nonzero(ids <= 3)


def parted(ids: list[int], prefix: int, suffix: int, middle: int) -> dict[str, list[int]]:
    """Undo fill-in-the-middle, by the definition of its two forms; of the second, the middle is prefix and middle."""
    if prefix not in ids:
        return {"whole": ids}
    assert ids[0] == prefix
    after = ids.index(middle)
    if ids[1] == suffix:
        return {"prefix": [], "middle": ids[after + 1 :], "suffix": ids[2:after]}
    before = ids.index(suffix)
    return {"prefix": ids[1:before], "middle": ids[after + 1 :], "suffix": ids[before + 1 : after]}


def test_the_rates_are_kept_and_the_id_decides() -> None:
    text, sentinels = "abcdéfgh\n" * 3, (1, 2, 3)
    found = [fill_in_the_middle(text, f"d{number}", 0.3, 0.25, sentinels) for number in range(4000)]
    assert found == [fill_in_the_middle(text, f"d{number}", 0.3, 0.25, sentinels) for number in range(4000)]
    turned = [before for _, before in found if before]
    assert abs(len(turned) / 4000 - 0.3) < 0.03
    assert abs(sum(before[0] == (1, 2) for before in turned) / len(turned) - 0.25) < 0.05
    cuts = [len(parts[0].text) for parts, before in found if before and before[0] == (1,)]
    assert min(cuts) == 0
    assert max(cuts) > 20
    higher = [fill_in_the_middle(text, f"d{number}", 0.6, 0.25, sentinels) for number in range(4000)]
    assert all(more == less for less, more in zip(found, higher, strict=True) if less[1]), (
        "a higher rate adds to a lower"
    )


def test_text_never_becomes_a_sentinel(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(train_tokenizer([code("go", 1), *FIM_TOKENS] * 3, 400, FIM_TOKENS))
    (packed,) = Encoder(path, DTYPES["uint16"]).encode(["x ".join(FIM_TOKENS)])
    ids = np.frombuffer(packed, "<u2").tolist()
    assert min(ids) > 3
    assert load_tokenizer(path).decode(ids, skip_special_tokens=False) == "x ".join(FIM_TOKENS)
    with pytest.raises(BadInput, match="at least 260"):
        train_tokenizer(["a"], 259, FIM_TOKENS)


def test_a_tokenizer_without_sentinels_cannot_fill_in(place: Path, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(train_tokenizer([code("go", 1)], 400))
    with pytest.raises(BadInput, match="no tokens for fill-in-the-middle"):
        tokenize_corpus(place / "corpus", None, tmp_path / "out", TokenSettings(fim_rate=0.1), tmp_path / "t.json")


def test_the_command_takes_all_of_it(place: Path, tmp_path: Path) -> None:
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(row) + "\n" for row in text_rows()))
    (tmp_path / "a.json").write_text(json.dumps({"shares": {"python": 0.6, "text:wiki": 0.4}}))
    program = [sys.executable, "-m", "pipelines.cli", "pack", "--corpus", str(place / "corpus")]
    program += ["--allocation", "a.json", "--tokens", "10k", "--sequence-length", "50", "--out", "out", "--texts"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = [
        "--text",
        "wiki=wiki.jsonl",
        "--document-order",
        "repository",
        "--fim-rate",
        "0.4",
        "--vocabulary",
        "500",
    ]
    done = subprocess.run([*program, *options], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tokens = {row["source"]: row["tokens"] for row in map(json.loads, done.stdout.splitlines())}
    assert tokens == {"python": 6000, "text:wiki": 4000}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["text_settings"]["document_order"], manifest["text_settings"]["fim_rate"]) == ("repository", 0.4)
    wrong = ["--text", "wiki", "--text", "a=nowhere.jsonl", "--fim-rate", "2"]
    done = subprocess.run([*program, *wrong], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    for said in ("'wiki': write NAME=PATH", "nowhere.jsonl: no such file", "--fim-rate: 2.0"):
        assert said in done.stderr


def test_datatrove_makes_the_same_stores(place: Path, tmp_path: Path) -> None:
    """By its executor, its tokenized files and its merger, at any number of workers."""
    from pipelines.corpus import Streaming

    write_corpus(tmp_path / "corpus", files=3)
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(row) + "\n" for row in text_rows(30)))
    texts = {"wiki": tmp_path / "wiki.jsonl"}
    settings = TokenSettings(**SMALL)
    tokenize_corpus(tmp_path / "corpus", place / "pairs", tmp_path / "alone", settings, texts=texts)
    for workers in (1, 2):
        tokenize_corpus(
            tmp_path / "corpus",
            place / "pairs",
            tmp_path / "streamed",
            settings,
            texts=texts,
            streaming=Streaming(workers),
            work=tmp_path / "work" if workers == 2 else None,
        )
        files = [path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*.*") if path.is_file()]
        assert {"python/train/tokens.bin", "text_wiki/train/tokens.bin"} < {str(path) for path in files}
        for path in files:
            if path.name != "manifest.json":
                assert (tmp_path / "streamed" / path).read_bytes() == (tmp_path / "alone" / path).read_bytes(), path
        assert sorted(p.name for p in (tmp_path / "streamed").iterdir()) == sorted(
            p.name for p in (tmp_path / "alone").iterdir()
        )
    with pytest.raises(BadInput, match="leave fim_rate and document_order out"):
        turned = TokenSettings(**SMALL, fim_rate=0.5)
        tokenize_corpus(tmp_path / "corpus", None, tmp_path / "x", turned, streaming=Streaming())
