"""The noun `ShardManifest`: an order written out as files, which anyone can read without the stores.

Start at `open_shards`, which gives sequences exactly as the order gave them. A shard is a flat file of token ids, whole
sequences one after the other, with nothing between them: `np.fromfile(path, dtype).reshape(-1, sequence_length)`.
`sequences.parquet` has a row for each sequence, over all shards in order: its source, how many of that source came
before it, and the token that follows it in its document stream (the target of its last token). Validation stores lie
beside the shards, so that `training.stores.open_stores(shards, "validation")` works.

Every token is known back to its document: `shard-00000.pieces.parquet` says which stretch of which document a stretch
of a shard is, `documents.parquet` what the documents are; `Shards.document_at` looks both up. The same bytes carry
the indexes of others: `shard-00000.idx` makes `shard-00000.bin` a Megatron data set of one element a sequence, and
`shard-00000.ds` (the same file by a hard link) with `.ds.index` and `.ds.metadata` is datatrove's, with the ends of
documents and sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from quality.artifacts import MANIFEST, file_sha256, read_manifest
from quality.contracts import Contract, Expectation
from quality.mistakes import BadInput, Mistake, bad_input
from training.stores import DTYPES, TOKENIZER_FILE

SEQUENCES_FILE = "sequences.parquet"
DOCUMENTS_FILE = "documents.parquet"

SEQUENCE_SCHEMA = pa.schema(
    [
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("position", pa.int64(), nullable=False),  # sequences of the same source before this one
        pa.field("following", pa.uint32(), nullable=False),  # id of the token behind the sequence's last
    ]
)

PIECE_SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),  # over all shards
        # The piece's first token in the sequence; sequence_length for the token that follows.
        pa.field("offset", pa.int32(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),  # tokens
        pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("document", pa.int64(), nullable=False),  # row in the source's store
        pa.field("start", pa.int64(), nullable=False),  # the piece's first token in the document
    ]
)

SHARD_DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("document", pa.int64(), nullable=False),  # row in the source's store
        pa.field("id", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("license_type", pa.string(), nullable=False),
        pa.field("detected_licenses", pa.list_(pa.string())),
        pa.field("tokens", pa.int64(), nullable=False),  # of the whole document
    ]
)

SHARD_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # below the artifact
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

MIX_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("target", pa.float64(), nullable=False),  # share x tokens asked for
        pa.field("tokens", pa.int64(), nullable=False),  # counted in the shards
        pa.field("bytes", pa.int64(), nullable=False),  # UTF-8 bytes behind them
        pa.field("bytes_per_token", pa.float64()),  # null where a share is less than one sequence
        pa.field("repeats", pa.float64(), nullable=False),  # epochs over the source
        pa.field("off_by", pa.float64(), nullable=False),  # sequences above (or below) the target
    ]
)

SHARD_CONTRACT = Contract(
    noun="shard",
    key=("path",),
    expectations=(
        Expectation("expect_table_row_count_to_be_between", {"min_value": 1}, "nothing to train on"),
        Expectation("expect_column_values_to_be_unique", {"column": "path"}, "a shard was listed twice"),
        Expectation("expect_column_values_to_be_unique", {"column": "sha256"}, "a shard was written twice"),
        Expectation("expect_column_values_to_be_between", {"column": "tokens", "min_value": 1}, "an empty shard"),
    ),
)

MIX_CONTRACT = Contract(
    noun="mix",
    key=("source",),
    expectations=(
        Expectation("expect_column_values_to_be_unique", {"column": "source"}, "a source was counted twice"),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "off_by", "min_value": -1, "max_value": 1, "strict_min": True, "strict_max": True},
            "the mix is not the one asked for",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "bytes_per_token", "min_value": 0, "strict_min": True},
            "tokens without text",
        ),
    ),
)


@dataclass(frozen=True)
class Shard:
    """One file of token ids.

    Args:
        path: Its name, below the artifact.
        tokens: Token ids in it.
        sha256: Of its bytes.
    """

    path: str
    tokens: int
    sha256: str


@dataclass(frozen=True)
class ShardManifest:
    """What shards hold, as their `manifest.json` says.

    Args:
        target: Tokens asked for, by source: share x tokens.
        tokens: Tokens written, by source.
        bytes: UTF-8 bytes behind them, by source.
        repeats: How often each source was read, in epochs.
        shards: The files, in order.
        tokenizer: SHA-256 of `tokenizer.json`.
        sequence_length: Tokens a sequence.
        seed: What the order was planned with.
        dtype: `uint16` or `uint32`, little-endian.
        composition: What the tokens of each source are: `content` (code, or prose), `prompts` (with the separators
            between the halves of pairs) and `control` (end-of-text and the like).
        drawn: Where the stream of each source stops: its epoch, and how many documents of that were begun.
        stores: SHA-256 of the tokens of each source's store.
        text_settings: How text became tokens.
        revoked: Documents that were taken out since, by source.
    """

    target: Mapping[str, float]
    tokens: Mapping[str, int]
    bytes: Mapping[str, int]
    repeats: Mapping[str, float]
    shards: tuple[Shard, ...]
    tokenizer: str
    sequence_length: int
    seed: int
    dtype: str
    composition: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    drawn: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    stores: Mapping[str, str] = field(default_factory=dict[str, str])
    text_settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    revoked: Mapping[str, int] = field(default_factory=dict[str, int])

    def as_json(self) -> dict[str, Any]:
        """Return the manifest's fields as JSON."""
        return {**asdict(self), "shards": [asdict(shard) for shard in self.shards]}

    def mix(self) -> pa.Table:
        """Return one row of `MIX_SCHEMA` for each source."""
        rows = [
            {
                "source": source,
                "target": self.target[source],
                "tokens": self.tokens.get(source, 0),
                "bytes": self.bytes.get(source, 0),
                "bytes_per_token": self.bytes.get(source, 0) / self.tokens[source] if self.tokens.get(source) else None,
                "repeats": self.repeats.get(source, 0.0),
                "off_by": (self.tokens.get(source, 0) - self.target[source]) / self.sequence_length,
            }
            for source in self.target
        ]
        return pa.Table.from_pylist(rows, MIX_SCHEMA)


def read_shard_manifest(folder: Path | str) -> ShardManifest:
    """Read the manifest of a `shards` artifact.

    Raises:
        BadInput: There are no finished shards, or the manifest lacks a field or holds a wrong one.
    """
    path = Path(folder) / MANIFEST
    manifest = read_manifest(folder, "shards")
    kinds: dict[str, type | tuple[type, ...]] = {
        "target": dict,
        "tokens": dict,
        "bytes": dict,
        "repeats": dict,
        "shards": list,
        "tokenizer": str,
        "sequence_length": int,
        "seed": int,
        "dtype": str,
    }
    later = ("composition", "drawn", "stores", "text_settings", "revoked")
    mistakes = [
        Mistake(f"{path}: {name}", f"{manifest.get(name)!r} cannot be right; pack the shards again")
        for name, kind in (kinds | {name: dict for name in later if name in manifest}).items()
        if not isinstance(manifest.get(name), kind)
        or (name == "dtype" and manifest[name] not in DTYPES)
        or (name == "sequence_length" and manifest[name] < 1)
    ]
    shards: list[Shard] = []
    for place, row in enumerate(
        cast(list[Any], manifest["shards"] if isinstance(manifest.get("shards"), list) else [])
    ):
        try:
            shards.append(Shard(**row))
        except TypeError:
            mistakes.append(Mistake(f"{path}: shards[{place}]", "needs path, tokens, sha256; pack the shards again"))
    if mistakes:
        raise BadInput(mistakes)
    fields: dict[str, Any] = {name: manifest[name] for name in (*kinds, *later) if name in manifest}
    fields["shards"] = tuple(shards)
    return ShardManifest(**fields)


@dataclass(frozen=True, eq=False)
class Shards:
    """Opened shards; make them with `open_shards`. The same faces as `training.order.Order`.

    Args:
        folder: Where they lie.
        manifest: What they hold.
    """

    folder: Path
    manifest: ShardManifest

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return sum(shard.tokens for shard in self.manifest.shards) // self.sequence_length

    @property
    def sequence_length(self) -> int:
        """Return the tokens a sequence trains on."""
        return self.manifest.sequence_length

    @property
    def tokenizer(self) -> str:
        """Return the SHA-256 of the tokenizer file."""
        return self.manifest.tokenizer

    @property
    def tokens(self) -> Mapping[str, int]:
        """Return the tokens trained on, by source."""
        return self.manifest.tokens

    @property
    def repeats(self) -> Mapping[str, float]:
        """Return how often each source is read, in epochs."""
        return self.manifest.repeats

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the sources that are drawn from."""
        return tuple(self.manifest.tokens)

    def source_of(self, index: int) -> str:
        """Return which source sequence `index` comes from."""
        names, codes, _ = self._sequences
        return names[codes[self._checked(index)]]

    def sequence(self, index: int) -> npt.NDArray[np.int64]:
        """Return sequence `index` and the token that follows it, shape (sequence_length + 1,)."""
        length = self.sequence_length
        place = int(np.searchsorted(self._ends, self._checked(index), side="right"))
        first = index - (int(self._ends[place - 1]) if place else 0)
        found = np.empty(length + 1, np.int64)
        found[:-1] = self._ids[place][first * length : (first + 1) * length]
        found[-1] = self._sequences[2][index]
        return found

    def codes_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
        """Return which of `sources` sequences come from, shape (n,)."""
        names, codes, _ = self._sequences
        return np.array([self.sources.index(name) for name in names], np.int64)[codes[indices]]

    def sequences(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return some sequences, each with the token that follows it, shape (n, sequence_length + 1).

        Raises:
            IndexError: There is no such sequence.
        """
        for index in (indices.min(initial=0), indices.max(initial=0)):
            self._checked(int(index))
        length = self.sequence_length
        found = np.empty((len(indices), length + 1), np.int64)
        places = self._ends.searchsorted(indices, side="right")
        starts = (indices - np.concatenate(([0], self._ends))[places]) * length
        for row, place, start in zip(found, places.tolist(), starts.tolist(), strict=True):
            row[:-1] = self._ids[place][start : start + length]
        found[:, -1] = self._sequences[2][indices]
        return found

    def document_at(self, token: int) -> dict[str, Any]:
        """Return where a token came from.

        Args:
            token: Its offset over all shards, in their order.

        Returns:
            `shard` and `offset` (of the token in that file), `sequence`, `source`, `token` (its id), `document` (`id`,
            `repo_name`, `path`, `license_type`, `detected_licenses`, `tokens`) and `document_offset`, the token's place
            in the document.

        Raises:
            IndexError: There is no such token.
            BadInput: The shards were packed without their documents.
        """
        total = len(self) * self.sequence_length
        if not 0 <= token < total:
            raise IndexError(f"token {token} of {total}")
        index, offset = divmod(token, self.sequence_length)
        place = int(np.searchsorted(self._ends, index, side="right"))
        shard = self.manifest.shards[place]
        first = (int(self._ends[place - 1]) if place else 0) * self.sequence_length
        pieces = pieces_path(self.folder / shard.path)
        if not pieces.is_file():
            bad_input(pieces, "missing: these shards do not say where their tokens came from; pack them again")
        inside = (pc.field("sequence") == index) & (pc.field("offset") <= offset)
        piece = max(pq.read_table(pieces, filters=inside).to_pylist(), key=lambda row: row["offset"])
        own = (pc.field("source") == piece["source"]) & (pc.field("document") == piece["document"])
        (document,) = pq.read_table(self.folder / DOCUMENTS_FILE, filters=own).to_pylist()
        return {
            "shard": shard.path,
            "offset": token - first,
            "sequence": index,
            "source": document.pop("source"),
            "token": int(self._ids[place][token - first]),
            "document": {name: value for name, value in document.items() if name != "document"},
            "document_offset": piece["start"] + offset - piece["offset"],
        }

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return index

    @cached_property
    def _ids(self) -> list[npt.NDArray[Any]]:
        dtype = DTYPES[self.manifest.dtype]
        shards = self.manifest.shards
        return [np.memmap(self.folder / shard.path, dtype, mode="r").view(np.ndarray) for shard in shards]

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum([shard.tokens // self.sequence_length for shard in self.manifest.shards])

    @cached_property
    def _sequences(self) -> tuple[list[str], npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
        table = pq.read_table(self.folder / SEQUENCES_FILE, columns=["source", "following"])
        sources: Any = table["source"].unify_dictionaries().combine_chunks()
        return sources.dictionary.to_pylist(), sources.indices.to_numpy(), table["following"].to_numpy()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "manifest": self.manifest}


def pieces_path(shard: Path) -> Path:
    """Return the file that says which documents a shard's tokens come from."""
    return shard.with_suffix(".pieces.parquet")


def open_shards(folder: Path | str, tokenizer: str | None = None, *, verify: bool = False) -> Shards:
    """Open shards for reading.

    Args:
        folder: A `shards` artifact.
        tokenizer: SHA-256 of the tokenizer they must have been made with, or None for any.
        verify: Read every byte and compare the checksums, too.

    Raises:
        BadInput: They are unfinished, damaged, or made with another tokenizer.
    """
    folder = Path(folder)
    manifest = read_shard_manifest(folder)
    mistakes = shard_mistakes(folder, manifest, verify=verify)
    if tokenizer is not None and tokenizer != manifest.tokenizer:
        mistakes.append(
            Mistake(str(folder), f"made with tokenizer {manifest.tokenizer[:12]}, asked for {tokenizer[:12]}")
        )
    if mistakes:
        raise BadInput(mistakes)
    return Shards(folder, manifest)


def shard_mistakes(folder: Path, manifest: ShardManifest, *, verify: bool) -> list[Mistake]:
    """Return what is wrong with the files of a manifest: missing, cut, changed, or not as many as it says.

    Args:
        folder: Where the files lie.
        manifest: What they should be.
        verify: Read every byte and compare the checksums and the tokens of each source, too.
    """
    mistakes: list[Mistake] = []
    size = DTYPES[manifest.dtype].itemsize

    def wrong(path: Path, what: str) -> None:
        mistakes.append(Mistake(str(path), f"{what}; pack the shards again"))

    for shard in manifest.shards:
        path = folder / shard.path
        if not path.is_file():
            wrong(path, "missing")
        elif path.stat().st_size != shard.tokens * size or shard.tokens % manifest.sequence_length:
            wrong(path, f"{path.stat().st_size} bytes do not hold {shard.tokens} tokens in whole sequences")
        elif verify and file_sha256(path) != shard.sha256:
            wrong(path, "its SHA-256 differs from the manifest")
    tokenizer = folder / TOKENIZER_FILE
    if not tokenizer.is_file():
        wrong(tokenizer, "missing")
    elif file_sha256(tokenizer) != manifest.tokenizer:
        wrong(tokenizer, "is not the tokenizer of the manifest")
    sequences = folder / SEQUENCES_FILE
    try:
        rows = pq.read_metadata(sequences).num_rows
        counted = pq.read_table(sequences, columns=["source"])["source"] if verify else None
    except (OSError, pa.ArrowException) as error:
        wrong(sequences, f"cannot be read ({error})")
        return mistakes
    if rows * manifest.sequence_length != sum(shard.tokens for shard in manifest.shards):
        wrong(sequences, f"{rows} sequences, not as many as the shards hold")
    if counted is not None:
        found: list[dict[str, Any]] = cast(Any, counted.value_counts()).to_pylist()
        tokens = {row["values"]: row["counts"] * manifest.sequence_length for row in found}
        if tokens != dict(manifest.tokens):
            wrong(sequences, f"holds {tokens} tokens by source, the manifest says {dict(manifest.tokens)}")
    return mistakes
