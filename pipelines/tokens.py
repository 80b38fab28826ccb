"""A corpus, and its parallel pairs, as token stores: every document tokenized once, one store a source and split.

Start at `tokenize_corpus`. What always holds: a source's documents stand in the order of their ids, whatever files
they came from; each is followed by one end-of-text token; its bytes are counted, and the bytes behind its tokens are
the same, so that losses can be given per byte; a pair stands in the training split only if both its documents do; and
the code of pairs is tokenized apart from the prompts and separators around it, so that every style of rendering them
has the same code tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice, tee
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from parallel_mining.documents import PairDirection, PairStyle, Part, pair_documents, pair_source
from quality.artifacts import Draft, creating, file_sha256, fingerprint, read_manifest, write_atomically
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say
from training.stores import (
    DTYPES,
    STORE_DOCUMENT_SCHEMA,
    TOKENIZER_FILE,
    UINT16_IDS,
    open_store,
    store_folder,
    token_byte_lengths,
)

SPLITS = ("train", "validation")
_BATCH_BYTES = 4_000_000  # text that is encoded at once: enough to keep all cores busy, little to hold
_SORT_BYTES = 512_000_000  # text that is sorted in memory at once; more is first spread over files by id


class TokenSettings(BaseModel):
    """How text becomes tokens.

    Args:
        vocabulary: Ids of the tokenizer that is trained, end-of-text and the 256 bytes among them.
        sample_bytes: Training text the tokenizer is trained on, the same amount of every language that has as much.
        pair_style: `prompt` introduces each half of a parallel document in a comment, `plain` does not; `shuffled`
            makes each half a document of its own, with which pairing is compared.
        pair_direction: `alternate` starts half of the parallel documents with the right language, `forward` none,
            `backward` all; `both` has each pair in either order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vocabulary: int = Field(default=32_768, ge=257, le=2**20)
    sample_bytes: int = Field(default=100_000_000, ge=1)
    pair_style: PairStyle = "prompt"
    pair_direction: PairDirection = "alternate"


@dataclass(frozen=True)
class _Part:
    """The documents of one language and split, by id."""

    language: str
    split: str
    files: tuple[str, ...]
    ids: list[str]
    lengths: npt.NDArray[np.int64]
    licences: list[str]


def tokenize_corpus(
    corpus: Path | str,
    pairs: Path | str | None,
    out: Path | str,
    settings: TokenSettings | None = None,
    tokenizer: Path | str | None = None,
    *,
    command: str = "",
) -> dict[str, Any]:
    """Make the token stores of a corpus.

    Args:
        corpus: A `corpus` artifact.
        pairs: A `pairs` artifact made from it, or None for no parallel documents.
        out: The folder to make.
        settings: How text becomes tokens; None for the defaults.
        tokenizer: A `tokenizer.json`, or None to train one on the training split.
        command: The command line that makes it again.

    Returns:
        The manifest of the `tokens` artifact.

    Raises:
        BadInput: There is no such corpus, it has no training text, the pairs were made from another one, or the
            tokenizer cannot be used.
    """
    corpus, out = Path(corpus), Path(out)
    settings = settings or TokenSettings()
    identity = tokens_identity(corpus, pairs, settings, tokenizer)
    parts = _parts(corpus)
    rows = {} if pairs is None else _pair_rows(Path(pairs), parts)
    with creating(out, "tokens", identity, command=command) as draft:
        _settle_tokenizer(draft.path / TOKENIZER_FILE, parts, settings, tokenizer)
        _write_stores(draft, parts, rows, settings)
    return read_manifest(out, "tokens")


def tokens_identity(
    corpus: Path | str, pairs: Path | str | None, settings: TokenSettings, tokenizer: Path | str | None
) -> dict[str, Any]:
    """Return all that token stores depend on.

    Raises:
        BadInput: An artifact or the tokenizer is missing.
    """
    if tokenizer is not None and not Path(tokenizer).is_file():
        bad_input(tokenizer, "no such file; a tokenizer.json is needed here, or leave it out to train one")
    given = tokenizer is not None
    return {
        "corpus": read_manifest(corpus, "corpus")["fingerprint"],
        "pairs": None if pairs is None else read_manifest(pairs, "pairs")["fingerprint"],
        "tokenizer": file_sha256(Path(tokenizer)) if tokenizer is not None else None,
        "settings": settings.model_dump(exclude={"vocabulary", "sample_bytes"} if given else set()),
    }


def ensure_tokens(
    corpus: Path | str,
    pairs: Path | str | None,
    out: Path,
    settings: TokenSettings,
    tokenizer: Path | str | None,
    command: str = "",
) -> dict[str, Any]:
    """Return the manifest of the token stores at `out`, made only if they are not there already.

    Raises:
        BadInput: As `tokenize_corpus`.
    """
    if (out / "manifest.json").is_file():
        manifest = read_manifest(out, "tokens")
        if manifest["fingerprint"] == fingerprint(tokens_identity(corpus, pairs, settings, tokenizer)):
            say(f"token stores in {out} are up to date")
            return manifest
        say(f"token stores in {out} were made from something else; making them again")
    return tokenize_corpus(corpus, pairs, out, settings, tokenizer, command=command)


def _parts(corpus: Path) -> list[_Part]:
    files: dict[tuple[str, str], list[str]] = {}
    for path in sorted(corpus.glob("documents/language=*/split=*/*.parquet")):
        split, language = (folder.name.partition("=")[2] for folder in (path.parent, path.parent.parent))
        files.setdefault((language, split), []).append(str(path))
    parts: list[_Part] = []
    mistakes: list[Mistake] = []
    for (language, split), paths in sorted(files.items()):
        try:
            table = ds.dataset(paths, format="parquet").to_table(columns=["id", "length", "license_type"])
        except (OSError, pa.ArrowException) as error:
            mistakes.append(Mistake(str(Path(paths[0]).parent), f"cannot be read ({error}); build the corpus again"))
            continue
        if table.num_rows:
            table = table.sort_by("id")
            ids, licences = _strings(table["id"]), _strings(table["license_type"])
            parts.append(_Part(language, split, tuple(paths), ids, table["length"].to_numpy(), licences))
    if not mistakes and not any(part.split == "train" for part in parts):
        mistakes.append(Mistake(str(corpus), "has no document in its training split; build it from more sources"))
    if mistakes:
        raise BadInput(mistakes)
    return parts


def _strings(column: Any) -> list[str]:
    return cast(list[str], column.to_pylist())


def _documents(part: _Part, scratch: Path, upto: str | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a part's documents by id, as batches of text worth encoding at once."""
    columns = ["id", "text", "repo_name", "path", "license_type"]
    dataset = ds.dataset(list(part.files), format="parquet")
    wanted = None if upto is None else pc.field("id") <= upto
    if upto is not None or part.lengths.sum() <= _SORT_BYTES:
        yield from _batches(dataset.to_table(columns=columns, filter=wanted).sort_by("id"))
        return
    edges = np.searchsorted(np.cumsum(part.lengths), np.arange(_SORT_BYTES, part.lengths.sum(), _SORT_BYTES))
    borders = np.array(list(dict.fromkeys(part.ids[int(edge)] for edge in edges)))
    scratch.mkdir(parents=True)
    schema = pa.schema([dataset.schema.field(name) for name in columns])
    buckets = [scratch / f"{number:05d}.arrow" for number in range(len(borders) + 1)]
    writers = [pa.ipc.new_stream(str(bucket), schema) for bucket in buckets]
    for batch in dataset.to_batches(columns=columns):
        places = np.searchsorted(borders, np.array(_strings(batch["id"])), side="right")
        for place in np.unique(places):
            writers[place].write_batch(batch.filter(pa.array(places == place)))
    for writer, bucket in zip(writers, buckets, strict=True):
        writer.close()
        with pa.OSFile(str(bucket), "rb") as stream:
            yield from _batches(pa.ipc.open_stream(stream).read_all().sort_by("id"))
        bucket.unlink()
    scratch.rmdir()


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    start, size = 0, 0
    lengths = cast(list[int], pc.binary_length(table["text"]).to_pylist())
    for row, length in enumerate(lengths):
        size += length
        if size >= _BATCH_BYTES or row == len(lengths) - 1:
            yield from table.slice(start, row + 1 - start).combine_chunks().to_batches()
            start, size = row + 1, 0


def _settle_tokenizer(
    path: Path, parts: Sequence[_Part], settings: TokenSettings, tokenizer: Path | str | None
) -> None:
    """Put the tokenizer that was given, or one trained on the training split, at `path`."""
    from pipelines.tokenizer import train_tokenizer

    if tokenizer is not None:
        write_atomically(path, Path(tokenizer).read_bytes())
        return
    samples = sample_ends({p.language: p.lengths for p in parts if p.split == "train"}, settings.sample_bytes)
    size = sum(int(part.lengths[: samples[part.language]].sum()) for part in parts if part.split == "train")
    say(f"training a tokenizer of {settings.vocabulary:,} ids on {size / 1e6:.1f} MB of {len(samples)} languages")

    def texts() -> Iterator[str]:
        with progress(total=size, description="reading the sample", unit="B") as bar:
            for part in parts:
                count = samples[part.language] if part.split == "train" else 0
                if count:
                    for batch in _documents(part, path.parent / ".sample", part.ids[count - 1]):
                        for text in _strings(batch["text"]):
                            yield text
                            bar.update(len(text))
            say("counting words and merging the most frequent pairs")

    write_atomically(path, train_tokenizer(texts(), settings.vocabulary))
    made = len(token_byte_lengths(path))
    if made < settings.vocabulary:
        say(f"note: the text has words enough for {made:,} ids only, not {settings.vocabulary:,}")


def sample_ends(lengths: Mapping[str, npt.NDArray[np.int64]], sample_bytes: int) -> dict[str, int]:
    """Return how many documents of each language, by id, make a balanced sample.

    What a small language cannot give is shared among the others. Ids are hashes, so the first ones are a random draw.

    Args:
        lengths: Language to bytes of its documents, in the order of their ids.
        sample_bytes: Bytes wanted in all; exceeded by less than one document a language.
    """
    level, left = 0, sample_bytes
    open_languages = sorted(lengths, key=lambda language: int(lengths[language].sum()))
    while open_languages:
        level = left // len(open_languages)
        smallest = int(lengths[open_languages[0]].sum())
        if smallest > level:
            break
        left -= smallest
        del open_languages[0]
    ends: dict[str, int] = {}
    for language, sizes in lengths.items():
        share = level if language in open_languages else int(sizes.sum())
        ends[language] = min(len(sizes), int(np.searchsorted(np.cumsum(sizes), share)) + 1)
    return ends


def _pair_rows(pairs: Path, parts: Sequence[_Part]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the proved pairs by source and split, each with its documents' licence, in the order of their ids."""
    path = pairs / "pairs.parquet"
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        bad_input(path, f"cannot be read ({error}); mine the pairs again")
    splits: dict[str, str] = {}
    licences: dict[str, str] = {}
    for part in parts:
        splits.update(dict.fromkeys(part.ids, part.split))
        licences.update(zip(part.ids, part.licences, strict=True))
    mistakes: list[Mistake] = []
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["pair_id"]):
        documents = row["left_document"], row["right_document"]
        where = f"{path}: pair {row['pair_id']}"
        missing = [document for document in documents if document not in splits]
        if missing:
            mistakes.append(Mistake(where, f"its document {missing[0]} is not in the corpus; mine this corpus"))
            continue
        if row["split"] not in SPLITS:
            mistakes.append(Mistake(where, f"split {row['split']!r}; allowed: {', '.join(SPLITS)}"))
        elif row["split"] == "train" and any(splits[document] != "train" for document in documents):
            mistakes.append(Mistake(where, "is in the training split, but a document of it is validation text"))
        elif row["verdict"] != "equivalent":
            mistakes.append(Mistake(where, f"verdict {row['verdict']!r}; only equivalent pairs are trained on"))
        row["license_types"] = dict(zip(("left", "right"), (licences[d] for d in documents), strict=True))
        found.setdefault((pair_source(row["left_language"], row["right_language"]), row["split"]), []).append(row)
    if mistakes:
        raise BadInput(mistakes)
    return found


def _strictest(licences: Sequence[str]) -> str:
    order = ("permissive", "non_permissive", "no_license")
    return max(licences, key=lambda licence: order.index(licence) if licence in order else len(order))


@dataclass(frozen=True)
class _Text:
    """A document to be tokenized."""

    id: str
    repo_name: str
    path: str
    license_type: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole document."""
        return "".join(part.text for part in self.parts)


def _pair_texts(rows: Sequence[Mapping[str, Any]], settings: TokenSettings) -> Iterator[list[_Text]]:
    rendered = [
        (document, row)
        for row in rows
        for document in pair_documents(row, settings.pair_style, settings.pair_direction)
    ]
    rendered.sort(key=lambda item: item[0].id)
    for start in range(0, len(rendered), 1000):
        yield [
            _Text(
                document.id,
                " ".join(row[f"{side}_repo"] for side in document.sides),
                " ".join(row[f"{side}_path"] for side in document.sides),
                _strictest([row["license_types"][side] for side in document.sides]),
                document.parts,
            )
            for document, row in rendered[start : start + 1000]
        ]


def _corpus_texts(part: _Part, scratch: Path) -> Iterator[list[_Text]]:
    for batch in _documents(part, scratch):
        named = [_strings(batch[name]) for name in _NAMED]
        parts = [(Part(text, is_code=True),) for text in _strings(batch["text"])]
        yield [_Text(*row) for row in zip(*named, parts, strict=True)]


def _write_stores(
    draft: Draft,
    parts: Sequence[_Part],
    pairs: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    settings: TokenSettings,
) -> None:
    sources = [(part.language, part.split, _corpus_texts(part, draft.path / ".sorting")) for part in parts]
    sources += [(source, split, _pair_texts(rows, settings)) for (source, split), rows in sorted(pairs.items())]
    counts: dict[str, dict[str, Any]] = {}
    total = sum(int(part.lengths.sum()) for part in parts)
    total += sum(len(row["left_code"]) + len(row["right_code"]) for rows in pairs.values() for row in rows)
    writing = _Writing(draft.path)
    with (
        writing.encoding(total) as encoded,
        progress(total=total, description="tokenizing", unit="B") as bar,
    ):
        for source, split, batches in sources:
            described = writing.store(source, split, batches, encoded, bar)
            counts.setdefault(source, {})[split] = {key: described[key] for key in _COUNTED if key in described}
    for source, split, _ in sources:
        open_store(store_folder(draft.path, source, split), writing.tokenizer_hash, verify=True)
    draft.counts.update(
        sources=counts,
        tokens=sum(split["tokens"] for source in counts.values() for split in source.values()),
        bytes=sum(split["bytes"] for source in counts.values() for split in source.values()),
        vocabulary=len(writing.id_bytes),
    )
    draft.details["tokenizer"] = writing.tokenizer_hash


_NAMED = ("id", "repo_name", "path", "license_type")
_COUNTED = ("documents", "tokens", "bytes", "code_tokens", "prompt_tokens")
_Encode: TypeAlias = Callable[[Iterable[Sequence[str]]], Iterator[list[bytes]]]


class _Writing:
    """One tokenizer, and the stores that are being written with it below a folder."""

    def __init__(self, folder: Path) -> None:
        from pipelines.tokenizer import end_of_text_id, load_tokenizer

        self.folder = folder
        self.path = folder / TOKENIZER_FILE
        self.end_of_text = end_of_text_id(load_tokenizer(self.path), self.path)
        self.tokenizer_hash = file_sha256(self.path)
        self.id_bytes = token_byte_lengths(self.path)
        self.dtype = "uint16" if len(self.id_bytes) <= UINT16_IDS else "uint32"

    def encoding(self, total_bytes: int) -> AbstractContextManager[_Encode]:
        """Return the encoder of batches, for about that much text."""
        from pipelines.tokenizer import encoding

        return encoding(self.path, DTYPES[self.dtype], total_bytes)

    def store(
        self, source: str, split: str, batches: Iterator[list[_Text]], encoded: _Encode, bar: Any
    ) -> dict[str, Any]:
        """Write one store and return what `store.json` says of it."""
        folder = store_folder(self.folder, source, split)
        folder.mkdir(parents=True)
        digest = hashlib.sha256()
        tokens, size, documents = 0, 0, 0
        spent = {True: 0, False: 0}  # bytes of ids in parts that are code, and in those that are not
        end = np.array([self.end_of_text], DTYPES[self.dtype]).tobytes()
        kept, handed = tee(batches)
        with (
            (folder / "tokens.bin").open("wb") as stream,
            pq.ParquetWriter(folder / "documents.parquet", STORE_DOCUMENT_SCHEMA) as table,
        ):
            for batch, pieces in zip(
                kept, encoded([p.text for t in own for p in t.parts] for own in handed), strict=True
            ):
                for part, piece in zip((p for t in batch for p in t.parts), pieces, strict=True):
                    spent[part.is_code] += len(piece)
                ahead = iter(pieces)
                packed = [b"".join(islice(ahead, len(text.parts))) for text in batch]
                data = end.join([*packed, b""])
                stream.write(data)
                digest.update(data)
                ends = tokens + np.cumsum([len(own) // len(end) + 1 for own in packed])
                starts = np.concatenate([[tokens], ends[:-1]])
                lengths = np.array([len(text.text.encode()) for text in batch])
                self._refuse_losses(batch, lengths, data, starts - tokens)
                columns = {name: [getattr(text, name) for text in batch] for name in _NAMED}
                columns |= {"start": starts, "end": ends, "bytes": lengths}
                table.write_table(pa.Table.from_pydict(columns, STORE_DOCUMENT_SCHEMA))
                tokens, size, documents = int(ends[-1]), size + int(lengths.sum()), documents + len(batch)
                bar.update(int(lengths.sum()))
        described = {
            "source": source,
            "split": split,
            "dtype": self.dtype,
            "tokens": tokens,
            "documents": documents,
            "bytes": size,
            "tokenizer": self.tokenizer_hash,
            "sha256": digest.hexdigest(),
        }
        if source.startswith("pair:"):
            # With an end-of-text token a document these are all its tokens.
            described |= {"code_tokens": spent[True] // len(end), "prompt_tokens": spent[False] // len(end)}
        write_atomically(folder / "store.json", json.dumps(described, indent=2) + "\n")
        return described

    def _refuse_losses(
        self, batch: Sequence[_Text], lengths: npt.NDArray[np.int64], data: bytes, starts: npt.NDArray[np.int64]
    ) -> None:
        """Refuse a tokenizer whose tokens do not stand for the very bytes they were made from."""
        found = np.add.reduceat(self.id_bytes[np.frombuffer(data, DTYPES[self.dtype])], starts)
        wrong = np.flatnonzero(found != lengths)
        if len(wrong):
            text = batch[wrong[0]]
            bad_input(
                self.path.name,
                f"this tokenizer loses text: {lengths[wrong[0]]} bytes of {text.repo_name} {text.path} became tokens of"
                f" {found[wrong[0]]} bytes; use a byte-level BPE without a normalizer",
            )
