"""An allocation, written out: shards that hold each source's tokens to within one sequence of what was asked for.

Start at `pack`. The mixture itself is `training.order`; this module tokenizes the corpus where that was not done yet,
writes the order's sequences into shards of bounded size, reads all of it back, and publishes it only if it is right.
An infeasible request (`training.order.Infeasible`) writes nothing.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.shard_files import Files, PackedSequence, Tally, write_shard
from pipelines.tokens import TokenSettings, ensure_tokens, tokens_identity
from quality.artifacts import Draft, check_place, check_writable, creating, fingerprint, read_manifest
from quality.contracts import check_all
from quality.mistakes import BadInput, Failure, Mistake, bad_input
from quality.progress import progress, say
from training.allocation import Allocation, read_allocation
from training.hyperparameters import count
from training.order import MAX_EPOCHS, Order, plan_order
from training.shards import (
    DOCUMENTS_FILE,
    MIX_CONTRACT,
    SEQUENCE_SCHEMA,
    SEQUENCES_FILE,
    SHARD_CONTRACT,
    SHARD_DOCUMENT_SCHEMA,
    SHARD_SCHEMA,
    Shard,
    ShardManifest,
    shard_mistakes,
)
from training.stores import TOKENIZER_FILE, UINT16_IDS, TokenStore, open_stores, token_byte_lengths

if TYPE_CHECKING:
    from pipelines.corpus import Streaming


class PackSettings(BaseModel):
    """How an allocation is written out.

    Args:
        sequence_length: Tokens a sequence.
        seed: Permutes the documents of each source, anew in each epoch.
        max_epochs: How often a source may be read.
        shard_tokens: Tokens a shard file holds at most.
        texts: Whether the text of the tokens is written beside them, as Parquet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sequence_length: int = Field(default=2048, ge=1)
    seed: int = Field(default=0, ge=0)
    max_epochs: float = Field(default=MAX_EPOCHS, gt=0, allow_inf_nan=False)
    shard_tokens: int = Field(default=1 << 27, ge=1)
    texts: bool = False


@dataclass(frozen=True)
class Request:
    """What a command line asks `pack` for."""

    allocation: Allocation
    tokens: int
    settings: PackSettings
    token_settings: TokenSettings
    texts: Mapping[str, Path]


def read_request(
    *,
    corpus: Path,
    pairs: Path | None,
    allocation: Path | None,
    tokens: str | None,
    tokenizer: Path | None,
    vocabulary: int | None,
    pair_style: str,
    pair_direction: str,
    sequence_length: int,
    seed: int,
    max_epochs: float,
    shard_tokens: str,
    places: Mapping[str, Path | None],
    work: Path | None = None,
    texts: bool = False,
    text: Sequence[str] = (),
    document_order: str = "id",
    fim_rate: float = 0.0,
    fim_spm_rate: float = 0.5,
) -> Request:
    """Check everything that stands on a command line, and that each kind of artifact can be made at its place.

    Raises:
        BadInput: Every input that is missing and every option that cannot be used.
    """
    mistakes: list[Mistake] = []

    def tried(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except BadInput as error:
            mistakes.extend(error.mistakes)
        return None

    def counted(option: str, text: str | None) -> int:
        if text is None:
            bad_input(option, "is needed to pack: 250000, 250k, 100M, 1.5B")
        try:
            return count(text)
        except ValueError as error:
            bad_input(option, str(error))

    def checked(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise BadInput(
                Mistake(_option(str(wrong["loc"][0])), f"{wrong['input']!r}: {wrong['msg']}")
                for wrong in error.errors()
            ) from error

    budget = tried(lambda: counted("--tokens", tokens))
    largest = tried(lambda: counted("--shard-tokens", shard_tokens))
    packing = {"sequence_length": sequence_length, "seed": seed, "max_epochs": max_epochs, "shard_tokens": largest or 1}
    packing["texts"] = texts
    settings = tried(lambda: checked(PackSettings, packing))
    rendering = {"pair_style": pair_style, "pair_direction": pair_direction, "document_order": document_order}
    rendering |= {"fim_rate": fim_rate, "fim_spm_rate": fim_spm_rate}
    token_settings = tried(
        lambda: checked(TokenSettings, rendering if vocabulary is None else {**rendering, "vocabulary": vocabulary})
    )
    named = tried(lambda: _named_texts(text))
    if budget is not None and settings is not None and budget < sequence_length:
        mistakes.append(Mistake("--tokens", f"{budget} is less than one sequence; raise it or lower --sequence-length"))
    if vocabulary is not None and tokenizer is not None:
        mistakes.append(Mistake("--vocabulary", "is for a tokenizer that is trained; leave it out with --tokenizer"))
    if allocation is None:
        mistakes.append(Mistake("--allocation", "is needed to pack: a file such as `polymix allocate` prints"))
    asked = None if allocation is None else tried(lambda: read_allocation(allocation))
    tried(lambda: _kind(corpus))
    if pairs is not None:
        tried(lambda: read_manifest(pairs, "pairs"))
    if tokenizer is not None:
        tried(lambda: token_byte_lengths(tokenizer))
    for kind, place in places.items():
        if place is not None:
            tried(partial(check_place, place, kind))
    if work is not None:
        tried(lambda: check_writable(work / "tasks"))
    if mistakes or budget is None or settings is None or asked is None:
        raise BadInput(mistakes)
    return Request(asked, budget, settings, token_settings, named)


def _named_texts(given: Sequence[str]) -> dict[str, Path]:
    from pipelines.text_tables import text_files

    named: dict[str, Path] = {}
    mistakes: list[Mistake] = []
    for one in given:
        name, _, path = one.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or not path:
            mistakes.append(Mistake("--text", f"{one!r}: write NAME=PATH, such as wiki=wiki.parquet"))
        elif name in named:
            mistakes.append(Mistake("--text", f"{name!r} is named twice; give each text a name of its own"))
        else:
            named[name] = Path(path)
            try:
                text_files(named[name])
            except BadInput as error:
                mistakes += error.mistakes
    if mistakes:
        raise BadInput(mistakes)
    return named


def _kind(corpus: Path) -> str:
    kind = read_manifest(corpus).get("kind")
    if kind not in ("corpus", "tokens"):
        bad_input(corpus, f"holds a {kind!r}; a corpus (from `polymix build`) or tokens made of one are needed")
    return kind


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def pack(
    corpus: Path | str,
    allocation: Allocation,
    tokens: int,
    out: Path | str,
    *,
    pairs: Path | str | None = None,
    tokenizer: Path | str | None = None,
    settings: PackSettings | None = None,
    token_settings: TokenSettings | None = None,
    stores: Path | str | None = None,
    texts: Mapping[str, Path | str] | None = None,
    streaming: Streaming | None = None,
    work: Path | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Pack shards to an allocation.

    Args:
        corpus: A `corpus` artifact, or the `tokens` artifact that was made from one.
        allocation: Share of the tokens by source.
        tokens: Tokens in all; rounded down to whole sequences.
        out: The folder to make.
        pairs: The `pairs` artifact, for `pair:` sources.
        tokenizer: A `tokenizer.json`, or None to train one on the corpus.
        settings: How the allocation is written out; None for the defaults.
        token_settings: How text becomes tokens; None for the defaults.
        stores: Keep the token stores here and use them again next time; None to make them for this one time. Those of
            another corpus, tokenizer or settings that are there already are never replaced.
        texts: Natural language by name, for `text:` sources (see `pipelines.tokens.tokenize_corpus`).
        streaming: Let datatrove tokenize the corpus, on this machine or on Slurm.
        work: Where datatrove keeps what it has done.
        command: The command line that makes it again.

    Returns:
        The manifest of the `shards` artifact.

    Raises:
        Infeasible: The mixture cannot be supplied; the error's `report` says what could be.
        Stale: Other token stores are at `stores`.
        BadInput: An input cannot be used.
    """
    corpus, out = Path(corpus), Path(out)
    settings = settings or PackSettings()
    token_settings = token_settings or TokenSettings()
    ready = _kind(corpus) == "tokens"
    if ready:
        _refuse_with_tokens(
            corpus,
            token_settings,
            pairs=pairs,
            tokenizer=tokenizer,
            stores=stores,
            text=texts or None,
            streaming=streaming,
        )
        made_of = read_manifest(corpus, "tokens")["fingerprint"]
    else:
        made_of = fingerprint(tokens_identity(corpus, pairs, token_settings, tokenizer, texts))
    identity = {
        "tokens": made_of,
        "allocation": allocation.as_json(),
        "budget": tokens,
        "settings": settings.model_dump(include=set(PackSettings.model_fields)),
    }
    # Under its own name, a stopped try's token stores are found again by the next one.
    passing = out.with_name(f".{out.name}.tokens")
    place = corpus if ready else passing if stores is None else Path(stores)
    with creating(out, "shards", identity, command=command) as draft:
        try:
            if not ready:
                _announce(allocation, pairs)
                ensure_tokens(
                    *(corpus, pairs, place, token_settings, tokenizer, command, texts, streaming, work),
                    replace=place == passing,
                )
            _fill(draft, place, allocation, tokens, settings)
        finally:
            if place == passing:
                shutil.rmtree(passing, ignore_errors=True)
    return read_manifest(out, "shards")


def _announce(allocation: Allocation, pairs: Path | str | None) -> None:
    parallel = [source for source, share in allocation.shares.items() if share > 0 and source.startswith("pair:")]
    if parallel and pairs is None:
        say(f"note: {', '.join(parallel)} asked for, but no --pairs given; tokenizing to say what is feasible without")


def _refuse_with_tokens(stores_dir: Path, asked: TokenSettings, **options: object) -> None:
    mistakes = [
        Mistake(f"--{name}", "only goes with a corpus: the token stores given as --corpus are already made")
        for name, value in options.items()
        if value is not None
    ]
    made: dict[str, Any] = read_manifest(stores_dir, "tokens")["identity"].get("settings", {})
    # A default cannot be told from an option that was left out, and asks for nothing.
    mistakes += [
        Mistake(
            _option(name),
            f"{value!r}, but the token stores given as --corpus were made {_made_with(made, name)}; leave it out,"
            " or name the corpus they were made of",
        )
        for name, value in asked.model_dump(mode="json", exclude_defaults=True).items()
        if made.get(name) != value
    ]
    if mistakes:
        raise BadInput(mistakes)


def _made_with(made: Mapping[str, Any], name: str) -> str:
    return f"with {made[name]!r}" if name in made else "without it"


def _fill(draft: Draft, tokens_dir: Path, allocation: Allocation, tokens: int, settings: PackSettings) -> None:
    # The checksums are compared: shards made of damaged tokens would look whole for ever after.
    stores = open_stores(tokens_dir, "train", verify=True)
    order = plan_order(stores, allocation, tokens, settings.sequence_length, settings.seed, settings.max_epochs)
    shutil.copyfile(tokens_dir / TOKENIZER_FILE, draft.path / TOKENIZER_FILE)
    for folder in sorted(tokens_dir.glob("*/validation")):
        shutil.copytree(folder, draft.path / folder.relative_to(tokens_dir))
    shards, tallies = write_shards(order, draft.path, settings.shard_tokens, texts=settings.texts)
    write_documents(
        draft.path, {source: order.streams[source].drawn(own + 1) for source, own in order.tokens.items()}, stores
    )
    # A curriculum is cut where the last whole sequence ends; shares are those of all tokens asked for.
    whole = len(order) * settings.sequence_length if allocation.stages else tokens
    manifest = ShardManifest(
        target={source: float(target) for source, target in allocation.targets(whole).items()},
        tokens=order.tokens,
        bytes={source: tally.bytes for source, tally in tallies.items()},
        repeats=order.repeats,
        shards=shards,
        tokenizer=order.tokenizer,
        sequence_length=settings.sequence_length,
        seed=settings.seed,
        dtype=_dtype(order),
        composition={source: tally.composition() for source, tally in tallies.items()},
        drawn={source: list(order.streams[source].begun(own)) for source, own in order.tokens.items()},
        stores={source: store_checksum(store) for source, store in order.stores.items()},
        text_settings=read_manifest(tokens_dir, "tokens")["identity"].get("settings", {}),
    )
    publish(draft, manifest, len(order))


def publish(draft: Draft, manifest: ShardManifest, sequences: int) -> None:
    """Check what was written, and say in the draft what it is.

    Raises:
        Failure: A file does not hold what was to be written.
        ContractFailed: The mix is not the one that was asked for.
    """
    _check(draft.path, manifest)
    draft.details.update(manifest.as_json())
    draft.counts.update(
        tokens=sum(manifest.tokens.values()),
        bytes=sum(manifest.bytes.values()),
        sequences=sequences,
        shards=len(manifest.shards),
    )


def write_shards(
    order: Order, folder: Path, shard_tokens: int, *, texts: bool = False
) -> tuple[tuple[Shard, ...], dict[str, Tally]]:
    """Write an order's sequences, in order, into shards and `sequences.parquet`.

    Args:
        order: What to write.
        folder: Where to; the tokenizer lies there already.
        shard_tokens: Tokens a shard holds at most; rounded down to whole sequences, but never below one.
        texts: Whether to write the texts beside the tokens.

    Returns:
        The shards, and what was written of each source.
    """
    length = order.sequence_length
    in_shard = max(1, shard_tokens // length)
    files = Files(folder, dict(order.stores), length, _dtype(order), order.tokenizer, texts)
    shards: list[Shard] = []
    with (
        progress(total=len(order) * length, description="packing", unit="tok") as bar,
        pq.ParquetWriter(folder / SEQUENCES_FILE, SEQUENCE_SCHEMA) as table,
    ):
        for first in range(0, len(order), in_shard):
            indices = range(first, min(first + in_shard, len(order)))
            following = np.empty(len(indices), np.uint32)

            def packed(
                indices: range = indices, following: npt.NDArray[np.uint32] = following
            ) -> Iterator[PackedSequence]:
                for place, index in enumerate(indices):
                    ids = order.sequence(index)
                    following[place] = ids[-1]
                    yield PackedSequence(order.source_of(index), ids, order.pieces(index))

            shards.append(write_shard(files, len(shards), first, packed(), bar.update))
            table.write_table(_sequences(order, indices, following))
    return tuple(shards), files.tallies


def write_documents(folder: Path, drawn: Mapping[str, npt.NDArray[np.int64]], stores: Mapping[str, TokenStore]) -> None:
    """Write what is known of the documents that shards were made of.

    Args:
        folder: Where the shards are.
        drawn: Rows of documents by source.
        stores: The store of each source.
    """
    with pq.ParquetWriter(folder / DOCUMENTS_FILE, SHARD_DOCUMENT_SCHEMA) as writer:
        for source, rows in sorted(drawn.items()):
            store = stores[source]
            known = store.table().take(pa.array(rows, pa.int64()))
            columns = {name: known[name] for name in SHARD_DOCUMENT_SCHEMA.names if name in known.column_names}
            columns |= {
                "source": pa.array([source] * len(rows), pa.string()),
                "document": pa.array(rows),
                "tokens": pa.array((store.ends - store.starts)[rows]),
            }
            writer.write_table(pa.Table.from_pydict(columns, SHARD_DOCUMENT_SCHEMA))


def store_checksum(store: TokenStore) -> str:
    """Return the SHA-256 of a store's tokens, as `store.json` says."""
    return json.loads((store.folder / "store.json").read_text())["sha256"]


def _sequences(order: Order, indices: range, following: npt.NDArray[np.uint32]) -> pa.Table:
    codes = {source: code for code, source in enumerate(order.sources)}
    return pa.Table.from_arrays(
        [
            pa.DictionaryArray.from_arrays(
                pa.array([codes[order.source_of(index)] for index in indices], pa.int32()), pa.array(order.sources)
            ),
            pa.array([order.position_of(index) for index in indices], pa.int64()),
            pa.array(following),
        ],
        schema=SEQUENCE_SCHEMA,
    )


def _dtype(order: Order) -> str:
    store: TokenStore = next(iter(order.stores.values()))
    return "uint16" if len(store.id_bytes) <= UINT16_IDS else "uint32"


def _check(folder: Path, manifest: ShardManifest) -> None:
    """Read back what was written.

    Raises:
        Failure: A file does not hold what was to be written.
        ContractFailed: The mix is not the one that was asked for.
    """
    mistakes = shard_mistakes(folder, manifest, verify=True)
    if mistakes:
        raise Failure(
            "what was written is not what was to be written; is the disk full or failing?\n"
            + "\n".join(map(str, mistakes))
        )
    shards = pa.Table.from_pylist([asdict(shard) for shard in manifest.shards], SHARD_SCHEMA)
    check_all([(SHARD_CONTRACT, shards), (MIX_CONTRACT, manifest.mix())], folder)
