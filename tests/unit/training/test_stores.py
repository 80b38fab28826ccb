from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality.artifacts import creating, file_sha256
from quality.mistakes import BadInput
from training.stores import STORE_DOCUMENT_SCHEMA, open_store, open_stores, store_folder, token_byte_lengths

TOKENIZER = {
    "model": {"type": "BPE", "vocab": {"<|endoftext|>": 0, "a": 1, "bc": 2, "Ġd": 3}},
    "decoder": {"type": "ByteLevel"},
    "added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": True}],
}


def write(
    folder: Path, source: str, split: str, documents: list[list[int]], dtype: str = "uint16", tokenizer: str = ""
) -> Path:
    place = store_folder(folder, source, split)
    place.mkdir(parents=True)
    ids = [token for document in documents for token in document]
    sizes = [0, 1, 2, 2]
    np.array(ids, f"<u{2 if dtype == 'uint16' else 4}").tofile(place / "tokens.bin")
    ends = np.cumsum([len(document) for document in documents])
    rows = [
        {
            "id": f"{source}{number}",
            "repo_name": "r",
            "path": "p",
            "license_type": "permissive",
            "start": int(end) - len(document),
            "end": int(end),
            "bytes": sum(sizes[token] for token in document),
        }
        for number, (document, end) in enumerate(zip(documents, ends, strict=True))
    ]
    pq.write_table(pa.Table.from_pylist(rows, STORE_DOCUMENT_SCHEMA), place / "documents.parquet")
    described = {
        "source": source,
        "split": split,
        "dtype": dtype,
        "tokens": len(ids),
        "documents": len(documents),
        "bytes": sum(row["bytes"] for row in rows),
        "tokenizer": tokenizer or file_sha256(folder / "tokenizer.json"),
        "sha256": file_sha256(place / "tokens.bin"),
    }
    (place / "store.json").write_text(json.dumps(described))
    return place


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    with creating(tmp_path / "tokens", "tokens", {}) as draft:
        (draft.path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
        write(draft.path, "go", "train", [[1, 2, 0], [3, 3, 0]])
        write(draft.path, "pair:python-go", "train", [[2, 0]], dtype="uint32")
        write(draft.path, "go", "validation", [[3, 0]])
    return tmp_path / "tokens"


def test_stores_are_read_as_they_were_written(tokens: Path) -> None:
    stores = open_stores(tokens, "train", verify=True)
    assert list(stores) == ["go", "pair:python-go"]
    go = stores["go"]
    assert (go.tokens, go.documents, go.bytes, go.split) == (6, 2, 7, "train")
    assert go.window(1, 4).tolist() == [2, 0, 3, 3]
    assert go.window(1, 4).dtype == np.int64
    assert go.starts.tolist() == [0, 3]
    assert go.bytes_between(0, 3) == 3, "an end-of-text token stands for no text"
    assert go.bytes_between(2, 5) == 4
    assert stores["pair:python-go"].window(0, 2).tolist() == [2, 0]
    assert list(open_stores(tokens, "validation")) == ["go"]


def test_a_window_never_reaches_outside(tokens: Path) -> None:
    go = open_stores(tokens, "train")["go"]
    for start, length in ((-1, 2), (5, 2), (0, 7), (0, -1)):
        with pytest.raises(IndexError, match="of 6"):
            go.window(start, length)


def test_a_store_travels_as_a_path(tokens: Path) -> None:
    go = open_stores(tokens, "train")["go"]
    frozen = pickle.dumps(go)
    assert len(frozen) < 1000
    assert pickle.loads(frozen).window(0, 6).tolist() == go.window(0, 6).tolist()


def test_every_damaged_store_is_named(tokens: Path) -> None:
    (tokens / "go/train/tokens.bin").write_bytes(b"\1\0\2\0\0")
    (tokens / "pair_python-go/train/documents.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput) as caught:
        open_stores(tokens, "train")
    text = str(caught.value)
    assert "5 bytes, but 6 tokens of uint16 are 12" in text
    assert "documents.parquet: cannot be read" in text
    assert len(caught.value.mistakes) == 2


def test_changed_tokens_are_found_when_verified(tokens: Path) -> None:
    path = tokens / "go/train/tokens.bin"
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0")
    assert open_stores(tokens, "train")["go"].window(5, 1).tolist() == [1]
    with pytest.raises(BadInput, match="SHA-256 differs"):
        open_stores(tokens, "train", verify=True)


def test_another_tokenizer_is_refused(tokens: Path) -> None:
    with pytest.raises(BadInput, match="but the tokenizer asked for is cafe"):
        open_stores(tokens, "train", "cafe" * 16)
    (tokens / "tokenizer.json").write_text(json.dumps(TOKENIZER | {"version": "2"}))
    with pytest.raises(BadInput, match=r"made with tokenizer .* but .*tokenizer\.json is"):
        open_stores(tokens, "train")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dtype": "int8"}, "known: uint16, uint32"),
        ({"tokens": "6"}, "'6' is no int"),
        ({"documents": 3}, "does not cover"),
        ({"bytes": 8}, "does not cover"),
        ({"tokens": 5}, "12 bytes, but 5 tokens"),
    ],
)
def test_a_wrong_description_is_refused(tokens: Path, changed: dict[str, object], said: str) -> None:
    path = tokens / "go/train/store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(BadInput, match=said):
        open_store(path.parent)


def test_what_is_not_there_is_said(tokens: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no token store of the 'test' split"):
        open_stores(tokens, "test")
    with pytest.raises(BadInput, match="no finished artifact"):
        open_stores(tmp_path / "nothing", "train")
    with pytest.raises(BadInput, match=r"store\.json: missing"):
        open_store(tmp_path)
    with creating(tmp_path / "runs", "runs", {}):
        pass
    with pytest.raises(BadInput, match="holds a 'runs'"):
        open_stores(tmp_path / "runs", "train")


def test_only_a_byte_level_tokenizer_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(TOKENIZER))
    assert token_byte_lengths(path).tolist() == [0, 1, 2, 2]
    path.write_text(json.dumps(TOKENIZER | {"decoder": {"type": "WordPiece"}}))
    with pytest.raises(BadInput, match="not byte-level"):
        token_byte_lengths(path)
    for text in ("{", "[]", '{"model": {}}'):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"not a tokenizer\.json"):
            token_byte_lengths(path)
