"""How sequences become the files of a shard: one payload, and beside it what Megatron, datatrove and people read it by.

Start at `write_shard`. datatrove writes the payload and its own index; Megatron's `.bin` is the same file by a hard
link. What always holds: all files of a shard depend on its sequences only, and the payload is whole sequences with
nothing between them.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from training.order import Piece
from training.shards import PIECE_SCHEMA, Shard, pieces_path
from training.stores import DTYPES, TOKENIZER_FILE, TokenStore

_CHUNK_TOKENS = 1 << 20  # written and counted at once
# Source: `DType` in Megatron-core 0.16, megatron/core/datasets/indexed_dataset.py. Ids never reach the sign bit.
_MEGATRON_DTYPES = {"uint16": 8, "uint32": 4}

TEXT_SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("license_type", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PackedSequence:
    """A sequence to be written.

    Args:
        source: Which source it is of.
        ids: Its tokens and the one that follows, shape (sequence_length + 1,).
        pieces: The documents they come from; the last piece is the token that follows.
    """

    source: str
    ids: npt.NDArray[np.integer[Any]]
    pieces: Sequence[Piece]


@dataclass
class Tally:
    """What was written of a source.

    Args:
        tokens: Tokens.
        bytes: UTF-8 bytes behind them.
        prompts: Tokens of prompts and separators.
        control: Control tokens.
    """

    tokens: int = 0
    bytes: int = 0
    prompts: int = 0
    control: int = 0

    def composition(self) -> dict[str, int]:
        """Return what the tokens are, as a shard manifest has it."""
        content = self.tokens - self.prompts - self.control
        return {"content": content, "prompts": self.prompts, "control": self.control}

    def add(self, ids: npt.NDArray[np.integer[Any]], id_bytes: npt.NDArray[np.int64], prompts: int) -> None:
        """Count the tokens of a sequence.

        Args:
            ids: Its tokens, without the one that follows.
            id_bytes: Bytes that each id stands for.
            prompts: How many of them belong to prompts and separators.
        """
        sizes = id_bytes[ids]
        self.tokens += len(ids)
        self.bytes += int(sizes.sum())
        self.control += len(ids) - int(np.count_nonzero(sizes))
        self.prompts += prompts


@dataclass
class Files:
    """What all shards of an artifact have in common.

    Args:
        folder: Where they are written.
        stores: The store of each source.
        sequence_length: Tokens a sequence.
        dtype: `uint16` or `uint32`.
        tokenizer: SHA-256 of the tokenizer file.
        texts: Whether the texts are written beside the tokens.
        tallies: What was written so far, by source.
    """

    folder: Path
    stores: dict[str, TokenStore]
    sequence_length: int
    dtype: str
    tokenizer: str
    texts: bool
    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])
    _starts: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict[str, npt.NDArray[np.int64]])
    _prompts: dict[str, list[Any] | None] = field(default_factory=dict[str, list[Any] | None])
    _known: dict[str, pa.Table] = field(default_factory=dict[str, pa.Table])

    def prompts(self, source: str, pieces: Sequence[Piece]) -> int:
        """Return how many tokens of pieces belong to prompts and separators."""
        if source not in self._prompts:
            # Only documents made of pairs have prompts.
            column = self.stores[source].table(["prompts"])["prompts"] if source.startswith("pair:") else None
            self._prompts[source] = None if column is None else column.to_pylist()
        ranges = self._prompts[source]
        if ranges is None:
            return 0
        starts = self.stores[source].starts
        count = 0
        for document, begin, length in pieces:
            first = begin - starts.item(document)
            own: list[int] = ranges[document] or []
            for start, end in zip(own[::2], own[1::2], strict=True):
                count += max(0, min(end, first + length) - max(start, first))
        return count

    def count(self, tallies: dict[str, Tally], one: PackedSequence) -> None:
        """Count a sequence in tallies by source."""
        prompts = self.prompts(one.source, one.pieces[:-1])
        tallies.setdefault(one.source, Tally()).add(one.ids[:-1], self.stores[one.source].id_bytes, prompts)

    def described(self, source: str) -> pa.Table:
        """Return what is known of a source's documents."""
        if source not in self._known:
            self._known[source] = self.stores[source].table(["id", "repo_name", "path", "license_type"])
        return self._known[source]


def write_shard(
    files: Files,
    number: int,
    first: int,
    sequences: Iterable[PackedSequence],
    tick: Callable[[int], object] = lambda _: None,
) -> Shard:
    """Write one shard: `shard-N.bin`, `.idx`, `.ds`, `.ds.index`, `.ds.metadata`, `.pieces.parquet`, `.texts.parquet`.

    Args:
        files: What all shards share; its tallies are added to.
        number: Which shard it is.
        first: The number of its first sequence.
        sequences: Its sequences, in order.
        tick: Called with the tokens that were written.
    """
    from datatrove.pipeline.tokens.tokenizer import TokenizedFile

    length, dtype = files.sequence_length, DTYPES[files.dtype]
    payload = files.folder / f"shard-{number:05d}.bin"
    digest, written = hashlib.sha256(), 0
    tokenized = TokenizedFile(
        str(files.folder),
        payload.with_suffix(".ds").name,
        tokenizer_name_or_path=f"{TOKENIZER_FILE}@{files.tokenizer}",
        save_final_metadata=True,
        token_size=dtype.itemsize,
    )
    texts = _TextWriter(files, payload) if files.texts else None
    sources = sorted(files.stores)
    with pq.ParquetWriter(pieces_path(payload), PIECE_SCHEMA) as table:
        for chunk in _chunks(sequences, max(1, _CHUNK_TOKENS // length)):
            data = np.stack([one.ids[:-1] for one in chunk]).astype(dtype).tobytes()
            digest.update(data)
            for one in chunk:
                files.count(files.tallies, one)
            lengths = np.array([length for one in chunk for _, _, length in one.pieces[:-1]])
            tokenized.write_bytes(data, np.cumsum(lengths).tolist())
            table.write_table(piece_table(files, sources, chunk, first + written))
            if texts is not None:
                texts.write(chunk, first + written)
            written += len(chunk)
            tick(len(chunk) * length)
    tokenized.close()
    if texts is not None:
        texts.close()
    link(payload.with_suffix(".ds"), payload)
    write_megatron_index(payload.with_suffix(".idx"), written, length, files.dtype)
    return Shard(payload.name, written * length, digest.hexdigest())


def shard_files(folder: Path, shard: Shard) -> list[Path]:
    """Return all files of a shard."""
    return sorted(folder.glob(f"{Path(shard.path).stem}.*"))


def link(file: Path, name: Path) -> None:
    """Give a file a second name: a hard link, or where the file system has none, a relative link."""
    name.unlink(missing_ok=True)
    try:
        os.link(file, name)
    except OSError:
        name.symlink_to(file.name)


def write_megatron_index(path: Path, sequences: int, length: int, dtype: str) -> None:
    """Write the index that makes a flat file of tokens a Megatron data set, each sequence an element and a document.

    Args:
        path: The `.idx`.
        sequences: How many there are.
        length: Tokens of each.
        dtype: `uint16` or `uint32`.

    Source: the layout of `_IndexWriter` in Megatron-core 0.16, megatron/core/datasets/indexed_dataset.py.
    """
    with path.open("wb") as stream:
        stream.write(b"MMIDIDX\0\0")
        stream.write(struct.pack("<QBQQ", 1, _MEGATRON_DTYPES[dtype], sequences, sequences + 1))
        stream.write(np.full(sequences, length, "<i4").tobytes())
        stream.write((np.arange(sequences, dtype="<i8") * (length * DTYPES[dtype].itemsize)).tobytes())
        stream.write(np.arange(sequences + 1, dtype="<i8").tobytes())


def _chunks(sequences: Iterable[PackedSequence], size: int) -> Iterator[list[PackedSequence]]:
    held: list[PackedSequence] = []
    for one in sequences:
        held.append(one)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def piece_table(files: Files, sources: list[str], chunk: Sequence[PackedSequence], first: int) -> pa.Table:
    """Return the pieces of sequences.

    Args:
        files: What all shards share.
        sources: All sources, sorted.
        chunk: The sequences.
        first: The number of the first of them.
    """
    codes = {source: code for code, source in enumerate(sources)}
    counts = [len(one.pieces) for one in chunk]
    lengths = np.array([piece[2] for one in chunk for piece in one.pieces])
    offsets = np.cumsum(lengths) - lengths - np.repeat(np.arange(len(chunk)) * (files.sequence_length + 1), counts)
    documents = np.array([piece[0] for one in chunk for piece in one.pieces])
    starts = np.empty(len(documents), np.int64)
    row = 0
    for one in chunk:
        own = files.stores[one.source].starts
        for document, begin, _ in one.pieces:
            starts[row] = begin - own.item(document)
            row += 1
    source = np.repeat([codes[one.source] for one in chunk], counts).astype(np.int32)
    return pa.Table.from_arrays(
        [
            pa.array(np.repeat(np.arange(first, first + len(chunk)), counts), pa.int64()),
            pa.array(offsets, pa.int32()),
            pa.array(lengths, pa.int32()),
            pa.DictionaryArray.from_arrays(pa.array(source, pa.int32()), pa.array(sources)),
            pa.array(documents, pa.int64()),
            pa.array(starts),
        ],
        schema=PIECE_SCHEMA,
    )


class _TextWriter:
    """Writes the text of each piece beside a shard."""

    def __init__(self, files: Files, payload: Path) -> None:
        from pipelines.tokenizer import end_of_text_id, load_tokenizer

        self._files = files
        self._tokenizer = load_tokenizer(files.folder / TOKENIZER_FILE)
        self._end = end_of_text_id(self._tokenizer)
        self._writer = pq.ParquetWriter(payload.with_suffix(".texts.parquet"), TEXT_SCHEMA)

    def write(self, chunk: Sequence[PackedSequence], first: int) -> None:
        """Write the texts of sequences; U+FFFD stands for the parts of a letter that a sequence cuts."""
        ids: list[list[int]] = []
        columns: dict[str, list[Any]] = {name: [] for name in TEXT_SCHEMA.names if name != "text"}
        for place, one in enumerate(chunk):
            known, begin = self._files.described(one.source), 0
            for document, _, length in one.pieces[:-1]:
                own = one.ids[begin : begin + length].tolist()
                ids.append(own[:-1] if own[-1] == self._end else own)
                begin += length
                columns["sequence"].append(first + place)
                columns["source"].append(one.source)
                for name in known.column_names:
                    columns[name].append(known[name][document].as_py())
        columns["text"] = self._tokenizer.decode_batch(ids, skip_special_tokens=False)
        self._writer.write_table(pa.Table.from_pydict(columns, TEXT_SCHEMA))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
