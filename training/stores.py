"""Where tokenized text lies, and how training reads it: one memory-mapped token store a source and split.

Start at `open_stores`. A store is a flat file of token ids with a table of its documents; `TokenStore.window` reads a
slice of it. What always holds of an opened store: its file has exactly the tokens it declares, its documents cover
them without gap or overlap, and it was made with the tokenizer that lies beside it. `tokens` and `shards` artifacts
both hold stores (shards only those of the validation split), and `open_stores` reads either.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from quality.artifacts import file_sha256, read_manifest
from quality.mistakes import BadInput, Mistake, bad_input

TOKENIZER_FILE = "tokenizer.json"
DOCUMENTS_FILE = "documents.parquet"
DTYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
UINT16_IDS = 65_536

STORE_DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # Document.id, or pair_id for a pair document
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("license_type", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # token offset
        pa.field("end", pa.int64(), nullable=False),  # exclusive; the end-of-text token is counted to the document
        pa.field("bytes", pa.int64(), nullable=False),  # UTF-8 bytes of the text; control tokens have none
        pa.field("detected_licenses", pa.list_(pa.string())),  # SPDX ids; null where nothing is known
        # Tokens of prompts and separators, as offsets in the document: start, end, start, end, ...; null for none.
        pa.field("prompts", pa.list_(pa.int32())),
    ]
)

_STORE_KEYS: dict[str, type] = {
    "source": str,
    "split": str,
    "dtype": str,
    "tokens": int,
    "documents": int,
    "bytes": int,
    "tokenizer": str,
    "sha256": str,
}


@dataclass(frozen=True, eq=False)
class TokenStore:
    """The tokens of one source and split, on disk.

    Args:
        folder: Where it lies.
        source: A language id, `pair:LEFT-RIGHT` or `text:NAME`.
        split: `train` or `validation`.
        tokenizer: SHA-256 of the tokenizer file.
        ids: Token ids, shape (tokens,), memory-mapped, little-endian uint16 or uint32.
        ends: Token offset at which each document ends (exclusive), shape (documents,), rising.
        document_bytes: UTF-8 bytes of each document, shape (documents,).
        id_bytes: Bytes each token id stands for, shape (vocabulary,); 0 for control tokens.
        repositories: Document at which each repository ends (exclusive), shape (repositories,), rising, where
            repositories are drawn as wholes; None where documents are.
    """

    folder: Path
    source: str
    split: str
    tokenizer: str
    ids: npt.NDArray[Any]
    ends: npt.NDArray[np.int64]
    document_bytes: npt.NDArray[np.int64]
    id_bytes: npt.NDArray[np.int64]
    repositories: npt.NDArray[np.int64] | None = None

    @property
    def tokens(self) -> int:
        """Return how many tokens there are, end-of-text tokens included."""
        return len(self.ids)

    @property
    def documents(self) -> int:
        """Return how many documents there are."""
        return len(self.ends)

    @cached_property
    def bytes(self) -> int:
        """Return the UTF-8 bytes of all documents."""
        return int(self.document_bytes.sum())

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Return the token offset at which each document starts, shape (documents,)."""
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])

    @cached_property
    def units(self) -> npt.NDArray[np.int64]:
        """Return the document at which each unit that is drawn as a whole ends (exclusive), shape (units,)."""
        return np.arange(1, self.documents + 1) if self.repositories is None else self.repositories

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """Return what is known of each document, as rows of `STORE_DOCUMENT_SCHEMA`."""
        return pq.read_table(self.folder / DOCUMENTS_FILE, columns=columns)

    def window(self, start: int, length: int) -> npt.NDArray[np.int64]:
        """Return `length` tokens from token offset `start`, shape (length,).

        Raises:
            IndexError: The window reaches outside the store.
        """
        if start < 0 or length < 0 or start + length > self.tokens:
            raise IndexError(f"{self.source}: tokens {start} to {start + length} of {self.tokens}")
        return self.ids[start : start + length].astype(np.int64)

    def bytes_between(self, start: int, stop: int) -> int:
        """Return how many UTF-8 bytes the tokens from `start` to `stop` (exclusive) stand for; exact."""
        return int(self.id_bytes[self.window(start, stop - start)].sum())

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a path: a memory map would travel as a copy of all tokens."""
        return open_store, (self.folder, self.tokenizer)


def store_folder(tokens_dir: Path, source: str, split: str) -> Path:
    """Return where the store of a source and split lies (`:` is no safe character in a path)."""
    return tokens_dir / source.replace(":", "_") / split


def open_store(folder: Path | str, tokenizer: str | None = None, *, verify: bool = False) -> TokenStore:
    """Open one token store.

    Args:
        folder: `TOKENS/<source>/<split>`.
        tokenizer: SHA-256 of the tokenizer it must have been made with, or None for the one beside it.
        verify: Read every token and compare the checksum, too.

    Raises:
        BadInput: The store is missing, damaged, or was made with another tokenizer.
    """
    folder = Path(folder)
    described, mistakes = _described(folder)
    if described is None:
        raise BadInput(mistakes)
    dtype = DTYPES[described["dtype"]]
    tokens = described["tokens"]
    ids_path = folder / "tokens.bin"
    size = ids_path.stat().st_size if ids_path.is_file() else -1
    if size < 0:
        mistakes.append(Mistake(str(ids_path), "missing; make the token stores again"))
    elif size != tokens * dtype.itemsize:
        mistakes.append(
            Mistake(
                str(ids_path),
                f"{size} bytes, but {tokens} tokens of {described['dtype']} are {tokens * dtype.itemsize}: it was cut"
                " or changed after it was written; make the token stores again",
            )
        )
    elif verify and file_sha256(ids_path) != described["sha256"]:
        mistakes.append(Mistake(str(ids_path), "its SHA-256 differs from store.json; make the token stores again"))
    ends, document_bytes, wrong = _documents(folder / DOCUMENTS_FILE, described)
    mistakes += wrong
    tokenizer_path = folder.parent.parent / TOKENIZER_FILE
    beside = file_sha256(tokenizer_path) if tokenizer_path.is_file() else None
    if beside is None:
        mistakes.append(Mistake(str(tokenizer_path), "missing; make the token stores again"))
    for expected, place in (
        (beside, str(tokenizer_path)),
        (tokenizer, "the tokenizer asked for"),
    ):
        if expected is not None and described["tokenizer"] != expected:
            mistakes.append(
                Mistake(
                    str(folder),
                    f"made with tokenizer {described['tokenizer'][:12]}, but {place} is {expected[:12]};"
                    " tokenize with the one that is used",
                )
            )
    if mistakes or beside is None:
        raise BadInput(mistakes)
    # A plain array over the mapped file: slices of a memory map carry bookkeeping, which costs more than they do.
    ids = np.memmap(ids_path, dtype, mode="r").view(np.ndarray) if tokens else np.zeros(0, dtype)
    return TokenStore(
        folder,
        described["source"],
        described["split"],
        described["tokenizer"],
        ids,
        ends,
        document_bytes,
        _byte_lengths(tokenizer_path, beside),
        _repositories(folder) if described.get("unit") == "repository" else None,
    )


def open_stores(
    tokens_dir: Path | str, split: str, tokenizer: str | None = None, *, verify: bool = False
) -> dict[str, TokenStore]:
    """Open all stores of a split.

    Args:
        tokens_dir: A `tokens` artifact, or `shards`, which hold the validation stores.
        split: `train` or `validation`.
        tokenizer: SHA-256 of the tokenizer they must have been made with, or None for the one beside them.
        verify: Read every token and compare the checksums, too.

    Returns:
        Source to store, sorted by source.

    Raises:
        BadInput: No finished artifact, no store of that split, or stores that are damaged (all of them are named).
    """
    tokens_dir = Path(tokens_dir)
    kind = read_manifest(tokens_dir).get("kind")
    if kind not in ("tokens", "shards"):
        bad_input(tokens_dir, f"holds a {kind!r}; token stores lie in `tokens` and `shards` artifacts")
    stores: dict[str, TokenStore] = {}
    mistakes: list[Mistake] = []
    for folder in sorted(path.parent for path in tokens_dir.glob(f"*/{split}/store.json")):
        try:
            store = open_store(folder, tokenizer, verify=verify)
        except BadInput as error:
            mistakes += error.mistakes
        else:
            stores[store.source] = store
    if mistakes:
        raise BadInput(dict.fromkeys(mistakes))
    if not stores:
        bad_input(tokens_dir, f"no token store of the {split!r} split; the corpus had no document in it")
    return dict(sorted(stores.items()))


def token_byte_lengths(tokenizer_path: Path) -> npt.NDArray[np.int64]:
    """Return how many bytes of text each id of a byte-level tokenizer stands for, shape (vocabulary,).

    In a byte-level vocabulary one character stands for one byte; control tokens stand for none.

    Args:
        tokenizer_path: A `tokenizer.json`.

    Raises:
        BadInput: The file is no byte-level tokenizer.
    """
    try:
        tokenizer = json.loads(tokenizer_path.read_text(encoding="utf-8"))
        vocabulary = cast(dict[str, int], tokenizer["model"]["vocab"])
        decoder = cast(dict[str, Any], tokenizer["decoder"] or {})
        added = cast(list[dict[str, Any]], tokenizer.get("added_tokens") or [])
        steps = [decoder, *cast(list[dict[str, Any]], decoder.get("decoders") or [])]
        if not any(step.get("type") == "ByteLevel" for step in steps):
            bad_input(tokenizer_path, "not byte-level: bits per byte cannot be counted; use a byte-level BPE")
        sizes = {index: len(token) for token, index in vocabulary.items()}
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        bad_input(tokenizer_path, f"not a tokenizer.json ({error!r}); give a file that Hugging Face tokenizers saved")
    for token in added:
        sizes[token["id"]] = 0 if token.get("special") else len(token["content"].encode())
    lengths = np.zeros(max(sizes, default=-1) + 1, np.int64)
    lengths[list(sizes)] = list(sizes.values())
    return lengths


@lru_cache(maxsize=8)
def _byte_lengths(tokenizer_path: Path, sha256: str) -> npt.NDArray[np.int64]:  # noqa: ARG001
    """Read a tokenizer once, not once a store; the checksum makes it another one when the file changes."""
    lengths = token_byte_lengths(tokenizer_path)
    lengths.setflags(write=False)
    return lengths


def _described(folder: Path) -> tuple[dict[str, Any] | None, list[Mistake]]:
    path = folder / "store.json"
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return None, [Mistake(str(path), "missing: this is no token store; make the token stores again")]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return None, [Mistake(str(path), f"not JSON ({error}); make the token stores again")]
    if not isinstance(value, dict):
        return None, [Mistake(str(path), "not a JSON object; make the token stores again")]
    described = cast(dict[str, Any], value)
    wrong = [
        Mistake(f"{path}: {key}", f"{described.get(key)!r} is no {kind.__name__}; make the token stores again")
        for key, kind in _STORE_KEYS.items()
        if not isinstance(described.get(key), kind)
    ]
    if not wrong and described["dtype"] not in DTYPES:
        wrong.append(Mistake(f"{path}: dtype", f"{described['dtype']!r}; known: {', '.join(DTYPES)}"))
    return (None if wrong else described), wrong


def _repositories(folder: Path) -> npt.NDArray[np.int64]:
    """Return the document at which each repository ends, exclusive."""
    names: Any = pq.read_table(folder / DOCUMENTS_FILE, columns=["repo_name"])["repo_name"].combine_chunks()
    changes = pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([np.flatnonzero(changes) + 1, [len(names)]]).astype(np.int64)


def _documents(
    path: Path, described: dict[str, Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[Mistake]]:
    none = np.zeros(0, np.int64)
    try:
        table = pq.read_table(path, columns=["start", "end", "bytes"])
    except (OSError, pa.ArrowException) as error:
        return none, none, [Mistake(str(path), f"cannot be read ({error}); make the token stores again")]
    starts, ends, sizes = (table[name].to_numpy() for name in ("start", "end", "bytes"))
    covered = len(ends) == described["documents"] and (int(ends[-1]) if len(ends) else 0) == described["tokens"]
    gapless = bool(np.array_equal(starts, np.concatenate([np.zeros(1, np.int64), ends])[: len(starts)]))
    if covered and gapless and bool((ends > starts).all()) and int(sizes.sum()) == described["bytes"]:
        return ends, sizes, []
    return none, none, [Mistake(str(path), "does not cover the tokens of store.json; make the token stores again")]
