"""A corpus, and its parallel pairs, as token stores: every document tokenized once, one store a source and split.

Start at `tokenize_corpus`. What always holds: a source's documents stand in the order of their ids, whatever files
they came from; each is followed by one end-of-text token; its bytes are counted, and the bytes behind its tokens are
the same, so that losses can be given per byte; a pair stands in the training split only if both its documents do; and
the code of pairs is tokenized apart from the prompts and separators around it, so that every style of rendering them
has the same code tokens.

Where repositories are kept together (`document_order = "repository"`), the files of each stand in the order of their
imports, with end-of-text behind the last one only. Fill-in-the-middle turns round what it is given a rate of, by a
draw that depends on the document's id alone; validation text stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from parallel_mining.documents import PairDirection, PairStyle, Part, pair_documents, pair_source
from quality.artifacts import Draft, creating, file_sha256, fingerprint, finished, read_manifest, write_atomically
from quality.import_order import import_order
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say
from training.stores import (
    DOCUMENTS_FILE,
    DTYPES,
    STORE_DOCUMENT_SCHEMA,
    TOKENIZER_FILE,
    UINT16_IDS,
    open_store,
    store_folder,
    token_byte_lengths,
)

if TYPE_CHECKING:
    from pipelines.corpus import Streaming

SPLITS = ("train", "validation")
_BATCH_BYTES = 4_000_000  # text that is encoded at once: enough to keep all cores busy, little to hold
_INSTEAD = (
    "shards and runs that were made of them need these very ones. Name another folder with --stores (one for each"
    " tokenizer, say), or remove this one where nothing needs it any more"
)
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
        document_order: `id` for documents of their own; `repository` keeps the files of a repository together, each
            behind those it imports.
        fim_rate: Fraction of the training documents of code that become prefix, suffix and middle.
        fim_spm_rate: Fraction of those that have the suffix first.
        text_validation_share: Fraction of natural language that is held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vocabulary: int = Field(default=32_768, ge=257, le=2**20)
    sample_bytes: int = Field(default=100_000_000, ge=1)
    pair_style: PairStyle = "prompt"
    pair_direction: PairDirection = "alternate"
    document_order: Literal["id", "repository"] = "id"
    # Source of both: Bavarian et al. (2022), arXiv 2207.14255: up to 0.9 costs nothing left to right; half in SPM.
    fim_rate: float = Field(default=0.0, ge=0, le=1)
    fim_spm_rate: float = Field(default=0.5, ge=0, le=1)
    text_validation_share: float = Field(default=0.01, gt=0, lt=1)


@dataclass(frozen=True)
class _Part:
    """The documents of one source and split, by id.

    Args:
        source: A language id or `text:NAME`.
        split: `train` or `validation`.
        data: Where they are, maybe among others.
        chosen: Which of the ids there are meant; None for all.
        ids: Their ids, rising.
        lengths: Bytes of each.
        licences: `license_type` of each.
    """

    source: str
    split: str
    data: ds.Dataset
    chosen: Callable[[str], bool] | None
    ids: list[str]
    lengths: npt.NDArray[np.int64]
    licences: list[str]

    def tables(self, upto: str | None = None) -> Iterator[pa.Table]:
        """Yield the documents, in no order, as rows of `_READ_SCHEMA`.

        Args:
            upto: The last id that is wanted, or None for all.
        """
        columns = [name for name in (*_READ_SCHEMA.names, "license") if name in self.data.schema.names]
        met: set[str] = set()
        wanted = None if upto is None or self.chosen is not None else pc.field("id") <= upto
        for batch in self.data.to_batches(columns=columns, filter=wanted):
            table = _read(batch, self.source)
            if self.chosen is not None:
                ids = _strings(table["id"])
                table = table.filter(pa.array([self.chosen(one) and (upto is None or one <= upto) for one in ids]))
            if "id" not in columns:
                # The same text twice has the same id, and is one document.
                ids = _strings(table["id"])
                table = table.filter(pa.array([not (one in met or met.add(one)) for one in ids], pa.bool_()))
            if table.num_rows:
                yield table


_READ_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("repo_name", pa.string()),
        pa.field("path", pa.string()),
        pa.field("license_type", pa.string()),
        pa.field("detected_licenses", pa.list_(pa.string())),
    ]
)


def _read(batch: pa.RecordBatch, source: str) -> pa.Table:
    """Return documents as rows of `_READ_SCHEMA`; what a table of texts does not say is filled in."""
    rows, names = batch.num_rows, batch.schema.names
    columns: list[Any] = []
    for field in _READ_SCHEMA:
        if field.name in names:
            columns.append(batch[field.name].cast(field.type))
        elif field.name == "id":
            texts = _strings(batch["text"])
            columns.append(pa.array([hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts], field.type))
        elif field.name == "detected_licenses":
            given = _strings(batch["license"].cast(pa.string())) if "license" in names else [None] * rows
            columns.append(pa.array([[one] if one else None for one in given], field.type))
        else:
            filler = {"repo_name": source, "path": "", "license_type": "unknown"}[field.name]
            columns.append(pa.array([filler] * rows, pa.string()))
    return pa.Table.from_arrays(columns, schema=_READ_SCHEMA)


def tokenize_corpus(
    corpus: Path | str,
    pairs: Path | str | None,
    out: Path | str,
    settings: TokenSettings | None = None,
    tokenizer: Path | str | None = None,
    *,
    texts: Mapping[str, Path | str] | None = None,
    pairs_only: bool = False,
    streaming: Streaming | None = None,
    work: Path | None = None,
    replace: bool = True,
    command: str = "",
) -> dict[str, Any]:
    """Make the token stores of a corpus.

    Args:
        corpus: A `corpus` artifact.
        pairs: A `pairs` artifact made from it, or None for no parallel documents.
        out: The folder to make.
        settings: How text becomes tokens; None for the defaults.
        tokenizer: A `tokenizer.json`, or None to train one on the training split.
        texts: Natural language by name: Parquet or JSON Lines, with a column `text`, and `id`, `repo_name`, `path`,
            `license_type`, `license` where they are known; without `id`, the same text twice is one document.
        pairs_only: Leave out all but the pairs; needs a tokenizer.
        streaming: Let datatrove tokenize the corpus, on this machine or on Slurm; the stores are the same.
        work: Where datatrove keeps what it has done, so that a try that was ended goes on; None for beside `out`.
        replace: Whether token stores of something else that are there may be replaced.
        command: The command line that makes it again.

    Returns:
        The manifest of the `tokens` artifact.

    Raises:
        Stale: Token stores of something else are there, and `replace` does not allow it.
        BadInput: There is no such corpus, it has no training text, the pairs were made from another one, or the
            tokenizer or a text cannot be used.
    """
    corpus, out = Path(corpus), Path(out)
    settings = settings or TokenSettings()
    if streaming is not None and (settings.fim_rate or settings.document_order != "id"):
        bad_input("streaming", "datatrove tokenizes documents as they are; leave fim_rate and document_order out")
    identity = tokens_identity(corpus, pairs, settings, tokenizer, texts) | ({"pairs_only": True} if pairs_only else {})
    parts = _parts(corpus)
    for name, path in sorted((texts or {}).items()):
        parts += _text_parts(name, Path(path), settings.text_validation_share)
    rows = {} if pairs is None else _pair_rows(Path(pairs), parts)
    if pairs_only:
        if tokenizer is None or not rows:
            bad_input("pairs_only", "needs a tokenizer and at least one proved pair")
        parts = []
    with creating(out, "tokens", identity, command=command, replace=replace) as draft:
        _settle_tokenizer(draft.path / TOKENIZER_FILE, parts, settings, tokenizer)
        if streaming is None:
            _write_stores(draft, parts, rows, settings, {})
        else:
            from pipelines.streaming import stream_tokens

            place = draft.path / ".streaming" if work is None else work / fingerprint(identity)[:16]
            place.mkdir(parents=True, exist_ok=True)
            shared = place / TOKENIZER_FILE
            write_atomically(shared, (draft.path / TOKENIZER_FILE).read_bytes())
            tokenized = stream_tokens(corpus, shared, place, identity, workers=streaming.workers, slurm=streaming.slurm)
            _write_stores(draft, parts, rows, settings, tokenized)
            shutil.rmtree(place)
    return read_manifest(out, "tokens")


def tokens_identity(
    corpus: Path | str,
    pairs: Path | str | None,
    settings: TokenSettings,
    tokenizer: Path | str | None,
    texts: Mapping[str, Path | str] | None = None,
) -> dict[str, Any]:
    """Return all that token stores depend on.

    Raises:
        BadInput: An artifact, the tokenizer or a text is missing.
    """
    from pipelines.text_tables import files_sha256, text_files

    if tokenizer is not None and not Path(tokenizer).is_file():
        bad_input(tokenizer, "no such file; a tokenizer.json is needed here, or leave it out to train one")
    given = tokenizer is not None
    return {
        "corpus": read_manifest(corpus, "corpus")["fingerprint"],
        "pairs": None if pairs is None else read_manifest(pairs, "pairs")["fingerprint"],
        "tokenizer": file_sha256(Path(tokenizer)) if tokenizer is not None else None,
        "settings": settings.model_dump(exclude={"vocabulary", "sample_bytes"} if given else set()),
        "texts": {
            name: files_sha256(Path(path), text_files(Path(path))[0]) for name, path in sorted((texts or {}).items())
        },
    }


def ensure_tokens(
    corpus: Path | str,
    pairs: Path | str | None,
    out: Path,
    settings: TokenSettings,
    tokenizer: Path | str | None,
    command: str = "",
    texts: Mapping[str, Path | str] | None = None,
    streaming: Streaming | None = None,
    work: Path | None = None,
    *,
    replace: bool = False,
) -> dict[str, Any]:
    """Return the manifest of the token stores at `out`, made only if they are not there already.

    Those that are there, made of something else, are kept: shards that were packed from them and sweeps that read them
    need the very same.

    Raises:
        BadInput: As `tokenize_corpus`.
        Stale: Token stores of something else are there, and `replace` does not allow it.
    """
    identity = tokens_identity(corpus, pairs, settings, tokenizer, texts)
    if finished(out, "tokens", identity, replace=replace, instead=_INSTEAD):
        say(f"token stores in {out} are up to date")
        return read_manifest(out, "tokens")
    return tokenize_corpus(
        corpus,
        pairs,
        out,
        settings,
        tokenizer,
        texts=texts,
        streaming=streaming,
        work=work,
        replace=replace,
        command=command,
    )


def _parts(corpus: Path) -> list[_Part]:
    files: dict[tuple[str, str], list[str]] = {}
    for path in sorted(corpus.glob("documents/language=*/split=*/*.parquet")):
        split, language = (folder.name.partition("=")[2] for folder in (path.parent, path.parent.parent))
        files.setdefault((language, split), []).append(str(path))
    parts: list[_Part] = []
    mistakes: list[Mistake] = []
    for (language, split), paths in sorted(files.items()):
        try:
            data = ds.dataset(paths, format="parquet")
            table = data.to_table(columns=["id", "length", "license_type"])
        except (OSError, pa.ArrowException) as error:
            mistakes.append(Mistake(str(Path(paths[0]).parent), f"cannot be read ({error}); build the corpus again"))
            continue
        if table.num_rows:
            table = table.sort_by("id")
            ids, licences = _strings(table["id"]), _strings(table["license_type"])
            parts.append(_Part(language, split, data, None, ids, table["length"].to_numpy(), licences))
    if not mistakes and not any(part.split == "train" for part in parts):
        mistakes.append(Mistake(str(corpus), "has no document in its training split; build it from more sources"))
    if mistakes:
        raise BadInput(mistakes)
    return parts


def _strings(column: Any) -> list[str]:
    return cast(list[str], column.to_pylist())


def _text_parts(name: str, path: Path, validation_share: float) -> list[_Part]:
    """Return the splits of a table of texts; which of them a text belongs to depends on its id alone."""
    from pipelines.text_tables import open_texts, repeated_mistakes

    source = f"text:{name}"
    data = open_texts(path, needs_id=False).data

    def held_out(identifier: str) -> bool:
        return _draw(source, identifier) < validation_share

    def kept(identifier: str) -> bool:
        return not held_out(identifier)

    ids: list[str] = []
    lengths: list[npt.NDArray[np.int64]] = []
    licences: list[str] = []
    for batch in data.to_batches(columns=[n for n in (*_READ_SCHEMA.names, "license") if n in data.schema.names]):
        if any(batch[one].null_count for one in ("id", "text") if one in batch.schema.names):
            bad_input(path, "has rows without id or text; fill or drop them")
        table = _read(batch, source)
        ids += _strings(table["id"])
        licences += _strings(table["license_type"])
        lengths.append(pc.binary_length(table["text"]).to_numpy().astype(np.int64))
    named = "id" in data.schema.names
    repeated = repeated_mistakes(path, pa.array(ids, pa.string())) if named else []
    if repeated:
        raise BadInput(repeated)
    sizes = np.concatenate(lengths)
    firsts = range(len(ids)) if named else {one: place for place, one in reversed(list(enumerate(ids)))}.values()
    order = sorted((place for place in firsts if sizes[place]), key=ids.__getitem__)
    parts: list[_Part] = []
    for split, chosen in (("train", kept), ("validation", held_out)):
        rows = [place for place in order if chosen(ids[place])]
        if rows:
            own = [ids[place] for place in rows]
            wanted = set(own).__contains__ if len(order) < len(ids) else chosen  # texts of no length are left out
            parts.append(_Part(source, split, data, wanted, own, sizes[rows], [licences[place] for place in rows]))
    if not any(part.split == "train" for part in parts):
        bad_input(path, f"has no text for the training split of {source}; give more")
    return parts


def _draw(*words: str) -> float:
    """Return a number from 0 to 1 that depends on some words only."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _documents(part: _Part, scratch: Path, order: str = "id", upto: str | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a part's documents in order, as batches of text worth encoding at once.

    The batches have a further column, `closes`: whether end-of-text comes behind the document.
    """
    if upto is not None or part.lengths.sum() <= _SORT_BYTES:
        tables = list(part.tables(upto))
        yield from _batches(_in_order(pa.concat_tables(tables), order))
        return
    key = "id" if order == "id" else "repo_name"
    if order == "id":
        keys, lengths = part.ids, part.lengths
    else:
        found = pa.concat_tables(
            [t.select([key]).append_column("length", pc.binary_length(t["text"])) for t in part.tables()]
        ).sort_by(key)
        keys, lengths = _strings(found[key]), found["length"].to_numpy()
    edges = np.searchsorted(np.cumsum(lengths), np.arange(_SORT_BYTES, lengths.sum(), _SORT_BYTES))
    borders = np.array(list(dict.fromkeys(keys[int(edge)] for edge in edges)))
    scratch.mkdir(parents=True)
    buckets = [scratch / f"{number:05d}.arrow" for number in range(len(borders) + 1)]
    writers = [pa.ipc.new_stream(str(bucket), _READ_SCHEMA) for bucket in buckets]
    for table in part.tables():
        places = np.searchsorted(borders, np.array(_strings(table[key])), side="right")
        for place in np.unique(places):
            writers[place].write_table(table.filter(pa.array(places == place)))
    for writer, bucket in zip(writers, buckets, strict=True):
        writer.close()
        with pa.OSFile(str(bucket), "rb") as stream:
            table = pa.ipc.open_stream(stream).read_all()
            if table.num_rows:
                yield from _batches(_in_order(table, order))
        bucket.unlink()
    scratch.rmdir()


def _in_order(table: pa.Table, order: str) -> pa.Table:
    """Return documents in order, with `closes`."""
    if order == "id":
        return table.sort_by("id").append_column("closes", pa.array([True] * table.num_rows))
    table = table.sort_by([("repo_name", "ascending"), ("id", "ascending")])
    repositories = np.array(_strings(table["repo_name"]))
    ends = np.flatnonzero(np.append(repositories[1:] != repositories[:-1], True)) + 1
    rows: list[int] = []
    for start, end in zip([0, *ends.tolist()], ends.tolist(), strict=False):
        own = table.slice(start, end - start)
        files = list(zip(_strings(own["path"]), _strings(own["text"]), strict=True))
        rows += [start + place for place in import_order(files)]
    closes = np.zeros(len(rows), bool)
    closes[ends - 1] = True
    return table.take(pa.array(rows)).append_column("closes", pa.array(closes))


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
    from pipelines.tokenizer import FIM_TOKENS, train_tokenizer

    if tokenizer is not None:
        write_atomically(path, Path(tokenizer).read_bytes())
        return
    samples = sample_ends({p.source: p.lengths for p in parts if p.split == "train"}, settings.sample_bytes)
    size = sum(int(part.lengths[: samples[part.source]].sum()) for part in parts if part.split == "train")
    say(f"training a tokenizer of {settings.vocabulary:,} ids on {size / 1e6:.1f} MB of {len(samples)} languages")

    def texts() -> Iterator[str]:
        with progress(total=size, description="reading the sample", unit="B") as bar:
            for part in parts:
                count = samples[part.source] if part.split == "train" else 0
                if count:
                    for batch in _documents(part, path.parent / ".sample", upto=part.ids[count - 1]):
                        for text in _strings(batch["text"]):
                            yield text
                            bar.update(len(text))
            say("counting words and merging the most frequent pairs")

    write_atomically(path, train_tokenizer(texts(), settings.vocabulary, FIM_TOKENS if settings.fim_rate else ()))
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
        if part.source.startswith("text:"):
            continue
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
    """A document to be tokenized.

    Args:
        id: As all until `detected_licenses`, what the store says of the document.
        parts: The document.
        before: Control tokens before each part; empty for none anywhere.
        closes: Whether end-of-text comes behind it.
    """

    id: str
    repo_name: str
    path: str
    license_type: str
    detected_licenses: list[str] | None
    parts: tuple[Part, ...]
    before: tuple[tuple[int, ...], ...] = ()
    closes: bool = True

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of the whole document."""
        return sum(len(part.text.encode()) for part in self.parts)


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
                sorted({name for side in document.sides for name in row[f"{side}_licenses"]}),
                document.parts,
            )
            for document, row in rendered[start : start + 1000]
        ]


def _corpus_texts(
    part: _Part, scratch: Path, settings: TokenSettings, fim: tuple[int, int, int] | None
) -> Iterator[list[_Text]]:
    is_text = part.source.startswith("text:")
    for batch in _documents(part, scratch, "id" if is_text else settings.document_order):
        named = [_strings(batch[name]) for name in _NAMED]
        texts: list[_Text] = []
        for *row, text, closes in zip(*named, _strings(batch["text"]), batch["closes"].to_pylist(), strict=True):
            whole: Any = (Part(text, is_code=True),), ()
            if fim is not None and part.split == "train" and not is_text:
                whole = fill_in_the_middle(text, row[0], settings.fim_rate, settings.fim_spm_rate, fim)
            texts.append(_Text(*row, *whole, closes=closes))
        yield texts


def fill_in_the_middle(
    text: str, identifier: str, rate: float, spm_rate: float, sentinels: tuple[int, int, int]
) -> tuple[tuple[Part, ...], tuple[tuple[int, ...], ...]]:
    """Turn a document round, or leave it as it is.

    The text is cut at two places between characters, each as likely as any. Prefix, suffix, middle: `P prefix S suffix
    M middle`; suffix first: `P S suffix M prefix middle`. The same document is always treated the same.

    Args:
        text: The document.
        identifier: Its id, which decides by a hash.
        rate: Fraction of documents that are turned round.
        spm_rate: Fraction of those that have the suffix first.
        sentinels: The control tokens of prefix, suffix and middle.

    Returns:
        The parts in their new order, and the control tokens before each.

    Source: Bavarian et al. (2022), arXiv 2207.14255, sections 3 and 4.4 (cuts by character; PSM and SPM for half of the
    documents each; the variant of SPM that keeps prefix and middle together, appendix D).
    """
    whole = (Part(text, is_code=True),)
    if _draw("fim", identifier) >= rate:
        return whole, ()
    start, end = sorted(int(_draw(word, identifier) * (len(text) + 1)) for word in ("fim first cut", "fim second cut"))
    prefix, middle, suffix = (Part(piece, is_code=True) for piece in (text[:start], text[start:end], text[end:]))
    before_prefix, before_suffix, before_middle = sentinels
    if _draw("fim spm", identifier) < spm_rate:
        return (suffix, prefix, middle), ((before_prefix, before_suffix), (before_middle,), ())
    return (prefix, suffix, middle), ((before_prefix,), (before_suffix,), (before_middle,))


def _write_stores(
    draft: Draft,
    parts: Sequence[_Part],
    pairs: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    settings: TokenSettings,
    tokenized: Mapping[tuple[str, str], Path],
) -> None:
    writing = _Writing(draft.path, settings)
    sources = [
        (part.source, part.split, _corpus_texts(part, draft.path / ".sorting", settings, writing.fim)) for part in parts
    ]
    sources += [(source, split, _pair_texts(rows, settings)) for (source, split), rows in sorted(pairs.items())]
    counts: dict[str, dict[str, Any]] = {}
    total = sum(int(part.lengths.sum()) for part in parts)
    total += sum(len(row["left_code"]) + len(row["right_code"]) for rows in pairs.values() for row in rows)
    with (
        writing.encoding(total) as encoded,
        progress(total=total, description="tokenizing", unit="B") as bar,
    ):
        for source, split, batches in sources:
            file = tokenized.get((source, split))
            encode = encoded if file is None else partial(_encoded_before, file, DTYPES[writing.dtype])
            described = writing.store(source, split, batches, encode, bar)
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


_NAMED = ("id", "repo_name", "path", "license_type", "detected_licenses")
_COUNTED = ("documents", "tokens", "bytes", "code_tokens", "prompt_tokens")
_Encode: TypeAlias = Callable[[Iterable[Sequence[str]]], Iterator[list[bytes]]]


def _encoded_before(file: Path, dtype: np.dtype[Any], batches: Iterable[Sequence[str]]) -> Iterator[list[bytes]]:
    """Yield the ids of texts that datatrove has tokenized, in the same order; as `encoding`, without end-of-text."""
    ids = np.memmap(file, dtype, mode="r")
    ends: list[int] = np.fromfile(f"{file}.index", "<u8").tolist()
    place, start = 0, 0
    for texts in batches:
        found: list[bytes] = []
        for end in ends[place : place + len(texts)]:
            found.append(ids[start : end - 1].tobytes())
            start = end
        place += len(texts)
        yield found


class _Writing:
    """One tokenizer, and the stores that are being written with it below a folder."""

    def __init__(self, folder: Path, settings: TokenSettings) -> None:
        from pipelines.tokenizer import end_of_text_id, fim_ids, load_tokenizer

        self.folder = folder
        self.path = folder / TOKENIZER_FILE
        tokenizer = load_tokenizer(self.path)
        self.end_of_text = end_of_text_id(tokenizer, self.path)
        self.unit = "repository" if settings.document_order == "repository" else "document"
        self.fim = fim_ids(tokenizer, self.path) if settings.fim_rate else None
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
        dtype = DTYPES[self.dtype]
        end = np.array([self.end_of_text], dtype).tobytes()
        kept, handed = tee(batches)
        with (
            (folder / "tokens.bin").open("wb") as stream,
            pq.ParquetWriter(folder / DOCUMENTS_FILE, STORE_DOCUMENT_SCHEMA) as table,
        ):
            for batch, pieces in zip(
                kept, encoded([p.text for t in own for p in t.parts] for own in handed), strict=True
            ):
                for part, piece in zip((p for t in batch for p in t.parts), pieces, strict=True):
                    spent[part.is_code] += len(piece)
                ahead = iter(pieces)
                packed: list[bytes] = []
                prompts: list[list[int] | None] = []
                for text in batch:
                    own = list(islice(ahead, len(text.parts)))
                    prompts.append(_prompts(text, [len(piece) // len(end) for piece in own]))
                    if text.before:
                        control = (np.array(ids, dtype).tobytes() for ids in text.before)
                        own = [one for both in zip(control, own, strict=True) for one in both]
                    packed.append(b"".join((*own, end) if text.closes else own))
                data = b"".join(packed)
                stream.write(data)
                digest.update(data)
                ends = tokens + np.cumsum([len(own) // len(end) for own in packed])
                starts = np.concatenate([[tokens], ends[:-1]])
                lengths = np.array([text.bytes for text in batch])
                self._refuse_losses(batch, lengths, data, starts - tokens)
                columns = {name: [getattr(text, name) for text in batch] for name in _NAMED}
                columns |= {"start": starts, "end": ends, "bytes": lengths, "prompts": prompts}
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
            "unit": "document" if source.startswith(("pair:", "text:")) else self.unit,
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


def _prompts(text: _Text, lengths: Sequence[int]) -> list[int] | None:
    """Return which tokens of a document are prompts and separators, as offsets: start, end, start, end, ..."""
    if all(part.is_code for part in text.parts):
        return None
    ends = list(accumulate(lengths))
    return [
        edge
        for part, end, length in zip(text.parts, ends, lengths, strict=True)
        if not part.is_code
        for edge in (end - length, end)
    ]
