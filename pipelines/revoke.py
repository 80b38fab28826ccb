"""Documents taken out of shards that were packed before: only the shards that hold them are written anew.

Start at `revoke`. What always holds: a sequence with a token of a revoked document is replaced by one of the same
source, from documents that were not drawn yet (or drawn the fewest times), so that each source has the tokens it had,
at the same places of the order; every other sequence, and every shard without revoked documents, stays byte for byte
as it was; nothing of a revoked document is left, neither in the payload nor as a target, in the texts, in the tables
or among the validation text; and the shards are replaced as a whole by one rename, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.pack import publish, store_checksum, write_documents
from pipelines.shard_files import Files, PackedSequence, Tally, piece_table, shard_files, write_shard
from quality.artifacts import creating, file_sha256, read_manifest, write_atomically
from quality.mistakes import BadInput, Mistake, bad_input
from quality.opt_out import OptOut
from quality.progress import progress, say
from training.allocation import Allocation, Stage
from training.order import Infeasible, Piece, Stream, shortage_report
from training.shards import (
    PIECE_SCHEMA,
    SEQUENCE_SCHEMA,
    SEQUENCES_FILE,
    Shard,
    ShardManifest,
    Shards,
    open_shards,
    pieces_path,
)
from training.stores import DOCUMENTS_FILE, STORE_DOCUMENT_SCHEMA, TOKENIZER_FILE, TokenStore, open_stores

REVOKED_FILE = "revoked.parquet"

REVOKED_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("document", pa.int64(), nullable=False),  # row in the source's store
    ]
)

_DOCUMENT = re.compile(r"(?:document:\s*(\S+)|([0-9a-f]{32}))\s*(?:#.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Revocation:
    """What is to be taken out.

    Args:
        listed: Repositories, packages, owners and paths.
        documents: Ids of documents.
    """

    listed: OptOut
    documents: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Revocation:
        """Read a list: entries as for `polymix build --opt-out`, and ids of documents, as `document:ID` or bare.

        Raises:
            BadInput: It cannot be read, has wrong lines, or is empty.
        """
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            bad_input(path, f"cannot be read: {error}")
        found = [_DOCUMENT.fullmatch(line.strip()) for line in lines]
        # Lines keep their numbers, for mistakes.
        listed = OptOut.parse(["" if match else line for line, match in zip(lines, found, strict=True)], str(path))
        documents = frozenset(match[1] or match[2].lower() for match in found if match)
        if not documents and not listed.entries:
            bad_input(path, "names nothing; list repositories, owners, packages or document ids, one a line")
        return cls(listed, documents)

    def chosen(self, tables: Sequence[pa.Table]) -> list[npt.NDArray[np.bool_]]:
        """Return which documents are meant, by table.

        A document made of several (a pair) is meant where one of them is.

        Args:
            tables: Rows of `STORE_DOCUMENT_SCHEMA`.
        """
        # A pair goes by its own id; what it was made of is known by repository and path.
        places: set[tuple[str, str]] = set()
        for table in tables:
            for identifier, repo, path in _named(table):
                if identifier in self.documents:
                    places.add((repo, path))
        return [
            np.array(
                [
                    identifier in self.documents or self._meant(repo, path, places)
                    for identifier, repo, path in _named(table)
                ],
                dtype=bool,
            )
            for table in tables
        ]

    def _meant(self, repo_name: str, path: str, places: set[tuple[str, str]]) -> bool:
        repos = repo_name.split(" ")
        words = path.split(" ")
        if len(repos) == 1:
            halves = {(repo_name, path)}
        else:
            # Paths may have spaces: wherever the two can be parted, either half counts.
            cuts = range(1, len(words)) if len(words) > 1 else range(1)
            halves = {
                half
                for cut in cuts
                for half in zip(repos, (" ".join(words[:cut]), " ".join(words[cut:])), strict=False)
            }
        return any(half in places or self.listed.reason(*half) is not None for half in halves)


def _named(table: pa.Table) -> Iterator[tuple[str, str, str]]:
    identifiers, repos, paths = (cast(list[str], table[name].to_pylist()) for name in ("id", "repo_name", "path"))
    return zip(identifiers, repos, paths, strict=True)


def revoke(shards: Path | str, listed: Path | str, tokens: Path | str, *, command: str = "") -> dict[str, Any]:
    """Take documents out of shards, and put others of the same sources in their place.

    Args:
        shards: A `shards` artifact; it is replaced.
        listed: A list of what is taken out (see `Revocation.read`).
        tokens: The `tokens` artifact that the shards were packed from.
        command: The command line that makes it again.

    Returns:
        The manifest of the shards; as it was where nothing listed is in them.

    Raises:
        Infeasible: The other documents are too few for the mix at the repeats that were allowed.
        BadInput: The shards are damaged or of an older form, or the tokens are others than they were packed from.
    """
    folder = Path(shards)
    revocation = Revocation.read(Path(listed))
    opened = open_shards(folder, verify=True)
    stores = _checked_stores(opened, Path(tokens))
    validation = {path.parent: pq.read_table(path) for path in sorted(folder.glob(f"*/validation/{DOCUMENTS_FILE}"))}
    tables = [store.table(["id", "repo_name", "path"]) for store in stores.values()]
    meant = revocation.chosen([*tables, *validation.values()])
    held_out = dict(zip(validation, meant[len(tables) :], strict=True))
    before = _revoked_before(folder, stores)
    revoked = {source: own | before[source] for source, own in zip(stores, meant[: len(tables)], strict=True)}
    for entry in revocation.listed.unmatched(
        name for table in (*tables, *validation.values()) for name in _repos(table)
    ):
        say(f"note: {entry} names nothing in the token stores or the validation text")
    plan = _planned(opened, stores, revoked)
    if not plan.replaced and not plan.following and not any(own.any() for own in held_out.values()):
        say(f"{folder}: nothing that is listed is in these shards; they stay as they are")
        return read_manifest(folder, "shards")
    old = read_manifest(folder, "shards")
    _refuse_shortage(old, opened, stores, revoked, plan)
    digest = hashlib.sha256()
    for source, own in sorted(revoked.items()):
        digest.update(json.dumps([source, np.flatnonzero(own).tolist()]).encode())
    identity = {**old["identity"], "revoked": digest.hexdigest()}
    with creating(folder, "shards", identity, command=command) as draft:
        draft.counts["revoked_validation_documents"] = old["counts"].get("revoked_validation_documents", 0)
        shutil.copyfile(folder / TOKENIZER_FILE, draft.path / TOKENIZER_FILE)
        files = Files(
            draft.path,
            dict(stores),
            opened.sequence_length,
            opened.manifest.dtype,
            opened.tokenizer,
            texts=any(folder.glob("*.texts.parquet")),
        )
        manifest = _rewritten(opened, files, plan, revoked)
        for place in validation:
            draft.counts["revoked_validation_documents"] += _without(
                place, draft.path / place.relative_to(folder), held_out[place]
            )
        used = _used(draft.path, manifest.shards)
        write_documents(draft.path, used, stores)
        rows = [
            {"source": source, "document": int(row)} for source, own in revoked.items() for row in np.flatnonzero(own)
        ]
        pq.write_table(pa.Table.from_pylist(rows, REVOKED_SCHEMA), draft.path / REVOKED_FILE)
        publish(draft, manifest, len(opened))
    say(f"{folder}: {len(plan.replaced):,} of {len(opened):,} sequences replaced, in {len(plan.shards)} shards")
    return read_manifest(folder, "shards")


def _repos(table: pa.Table) -> Iterator[str]:
    names = cast(list[str], table["repo_name"].to_pylist())
    return (one for name in names for one in name.split(" "))


def _checked_stores(opened: Shards, tokens: Path) -> dict[str, TokenStore]:
    """Return the stores that the shards were packed from."""
    manifest = opened.manifest
    missing = [shard.path for shard in manifest.shards if not pieces_path(opened.folder / shard.path).is_file()]
    if missing or not manifest.stores or not manifest.drawn:
        bad_input(opened.folder, "does not say where its tokens came from; pack the shards again")
    found = open_stores(tokens, "train", manifest.tokenizer, verify=True)
    mistakes = [
        Mistake(
            f"{tokens}: {source}",
            "these shards were packed from other tokens; make those again (`polymix pack --stores`) and name them",
        )
        for source, checksum in manifest.stores.items()
        if source not in found or store_checksum(found[source]) != checksum
    ]
    if mistakes:
        raise BadInput(mistakes)
    return {source: found[source] for source in sorted(manifest.stores)}


def _revoked_before(folder: Path, stores: Mapping[str, TokenStore]) -> dict[str, npt.NDArray[np.bool_]]:
    found = {source: np.zeros(store.documents, bool) for source, store in stores.items()}
    path = folder / REVOKED_FILE
    if path.is_file():
        for row in pq.read_table(path).to_pylist():
            found[row["source"]][row["document"]] = True
    return found


@dataclass(frozen=True)
class _Plan:
    """What changes.

    Args:
        replaced: Sequences with a revoked document, and what takes their place.
        following: Sequences that stay, but for the token that follows them: its id and where it is from.
        shards: Numbers of the shards that hold revoked documents.
        drawn: Where the stream of each source stops now.
    """

    replaced: Mapping[int, PackedSequence]
    following: Mapping[int, tuple[int, Piece]]
    shards: frozenset[int]
    drawn: Mapping[str, tuple[int, int]]


def _planned(opened: Shards, stores: Mapping[str, TokenStore], revoked: Mapping[str, npt.NDArray[np.bool_]]) -> _Plan:
    length = opened.sequence_length
    hit: dict[str, list[int]] = {}
    followers: list[tuple[int, str]] = []
    shards: set[int] = set()
    for number, shard in enumerate(opened.manifest.shards):
        table = pq.read_table(pieces_path(opened.folder / shard.path))
        sequences, offsets = table["sequence"].to_numpy(), table["offset"].to_numpy()
        documents, sources = table["document"].to_numpy(), np.array(table["source"].to_pylist())
        for source, own in revoked.items():
            rows = np.flatnonzero(sources == source)
            rows = rows[own[documents[rows]]]
            inside = rows[offsets[rows] < length]
            affected = np.unique(sequences[inside]).tolist()
            if affected:
                shards.add(number)
                hit.setdefault(source, []).extend(affected)
            only = set(sequences[rows[offsets[rows] == length]].tolist()) - set(affected)
            followers += [(index, source) for index in sorted(only)]
    replaced: dict[int, PackedSequence] = {}
    following: dict[int, tuple[int, Piece]] = {}
    drawn = {source: (int(own[0]), int(own[1])) for source, own in opened.manifest.drawn.items()}
    successors = _Successors(opened) if followers else None
    for source, own in revoked.items():
        later = [index for index, name in followers if name == source]
        if source not in hit and not later:
            continue
        stream = Stream(stores[source], opened.manifest.seed, ~own)
        if not stream.tokens:
            # Nothing is left; `_refuse_shortage` says so.
            replaced |= {index: PackedSequence(source, np.zeros(0, np.int64), ()) for index in hit.get(source, [])}
            continue
        reserve = _Reserve(stream, *drawn[source])
        for index in hit.get(source, []):
            pieces = [*reserve.take(length), *reserve.peek()]
            replaced[index] = PackedSequence(source, stream.read(pieces), pieces)
        drawn[source] = reserve.begun
        for index in later:
            # The document that was to follow is gone: what stands in its place does.
            successor = None if successors is None else successors.of(index)
            one = replaced.get(successor) if successor is not None else None
            begin = one.pieces[0] if one is not None else reserve.peek()[0]
            piece = (begin[0], begin[1], 1)
            following[index] = (int(stream.read([piece])[0]), piece)
    return _Plan(replaced, following, frozenset(shards), drawn)


class _Successors:
    """Which sequence of its source comes after a sequence."""

    def __init__(self, opened: Shards) -> None:
        table = pq.read_table(opened.folder / SEQUENCES_FILE, columns=["source", "position"])
        self._sources = cast(list[str], table["source"].to_pylist())
        self._positions = cast(list[int], table["position"].to_pylist())
        places = zip(self._sources, self._positions, strict=True)
        self._index = {place: index for index, place in enumerate(places)}

    def of(self, index: int) -> int | None:
        """Return the next sequence of the same source, or None after the last."""
        return self._index.get((self._sources[index], self._positions[index] + 1))


class _Reserve:
    """Tokens of a source that were not drawn yet, without revoked documents."""

    def __init__(self, stream: Stream, epoch: int, begun: int) -> None:
        self._store = stream.store
        self._documents = stream.further(epoch, begun)
        self._ahead: tuple[Piece, tuple[int, int]] | None = None
        self.begun = (epoch, begun)

    def take(self, length: int) -> list[Piece]:
        """Return the next tokens, as pieces."""
        found: list[Piece] = []
        while length:
            (document, begin, left), self.begun = self._next()
            taken = min(left, length)
            found.append((document, begin, taken))
            self._ahead = ((document, begin + taken, left - taken), self.begun) if left > taken else None
            length -= taken
        return found

    def peek(self) -> list[Piece]:
        """Return the token that comes next, as a piece, and leave it there."""
        self._ahead = self._next()
        document, begin, _ = self._ahead[0]
        return [(document, begin, 1)]

    def _next(self) -> tuple[Piece, tuple[int, int]]:
        if self._ahead is not None:
            return self._ahead
        document, epoch, begun = next(self._documents)
        begin = self._store.starts.item(document)
        return (document, begin, self._store.ends.item(document) - begin), (epoch, begun)


def _refuse_shortage(
    old: Mapping[str, Any],
    opened: Shards,
    stores: Mapping[str, TokenStore],
    revoked: Mapping[str, npt.NDArray[np.bool_]],
    plan: _Plan,
) -> None:
    """Refuse what would repeat a source more often than the shards' own settings allow."""
    touched = {one.source for one in plan.replaced.values()}
    identity = old["identity"]
    given = identity["allocation"]
    allocation = Allocation(given["shares"], tuple(Stage(**stage) for stage in given.get("stages", [])))
    length = opened.sequence_length
    supply = {
        source: int((store.ends - store.starts)[~revoked[source]].sum()) if source in touched else store.tokens
        for source, store in stores.items()
    }
    counts = {source: own // length for source, own in opened.tokens.items()}
    report = shortage_report(allocation, counts, supply, identity["budget"], length, identity["settings"]["max_epochs"])
    if report is not None:
        raise Infeasible(report)


def _rewritten(
    opened: Shards, files: Files, plan: _Plan, revoked: Mapping[str, npt.NDArray[np.bool_]]
) -> ShardManifest:
    """Write the shards and `sequences.parquet`, and return what they are."""
    length, manifest = opened.sequence_length, opened.manifest
    sources = sorted(files.stores)
    out: dict[str, Tally] = {}
    gone: dict[str, Tally] = {}
    shards: list[Shard] = []
    first = 0
    with progress(total=len(plan.replaced) * length, description="replacing", unit="tok") as bar:
        for number, shard in enumerate(manifest.shards):
            count = shard.tokens // length
            here = range(first, first + count)
            changed = [index for index in here if index in plan.following]
            kept = _sequences_of(opened, files, shard, here) if number in plan.shards or changed else []
            if number not in plan.shards:
                for file in shard_files(opened.folder, shard):
                    if changed and file == pieces_path(opened.folder / shard.path):
                        continue
                    _share(file, files.folder / file.name)
                if changed:
                    rows = [_followed(one, plan.following.get(index)) for index, one in zip(here, kept, strict=True)]
                    pq.write_table(piece_table(files, sources, rows, first), pieces_path(files.folder / shard.path))
                shards.append(shard)
            else:
                rows = []
                for index, one in zip(here, kept, strict=True):
                    new = plan.replaced.get(index)
                    if new is None:
                        rows.append(_followed(one, plan.following.get(index)))
                        continue
                    files.count(gone, one)
                    files.count(out, new)
                    bar.update(length)
                    rows.append(new)
                shards.append(write_shard(files, number, first, rows))
            first += count
    table = pq.read_table(opened.folder / SEQUENCES_FILE, schema=SEQUENCE_SCHEMA)
    targets = table["following"].to_numpy().copy()
    for index, one in plan.replaced.items():
        targets[index] = one.ids[-1]
    for index, (token, _) in plan.following.items():
        targets[index] = token
    table = table.set_column(2, SEQUENCE_SCHEMA.field("following"), pa.array(targets))
    pq.write_table(table, files.folder / SEQUENCES_FILE)
    supply = {
        source: int((store.ends - store.starts)[~revoked[source]].sum()) for source, store in files.stores.items()
    }
    composition = {source: dict(own) for source, own in manifest.composition.items()}
    sizes = dict(manifest.bytes)
    for source, new in out.items():
        sizes[source] += new.bytes - gone[source].bytes
        for name, value in new.composition().items():
            composition[source][name] += value - gone[source].composition()[name]
    return replace(
        manifest,
        bytes=sizes,
        composition=composition,
        repeats={source: own / supply[source] for source, own in manifest.tokens.items()},
        shards=tuple(shards),
        drawn={source: list(own) for source, own in plan.drawn.items()},
        revoked={source: int(own.sum()) for source, own in revoked.items() if own.any()},
    )


def _followed(one: PackedSequence, following: tuple[int, Piece] | None) -> PackedSequence:
    if following is None:
        return one
    token, piece = following
    return PackedSequence(one.source, np.append(one.ids[:-1], token), [*one.pieces[:-1], piece])


def _sequences_of(opened: Shards, files: Files, shard: Shard, here: range) -> list[PackedSequence]:
    """Return the sequences of a shard as they are."""
    pieces: dict[int, list[Piece]] = {index: [] for index in here}
    sources: dict[int, str] = {}
    table = pq.read_table(pieces_path(opened.folder / shard.path), schema=PIECE_SCHEMA)
    for row in table.to_pylist():
        begin = files.stores[row["source"]].starts.item(row["document"]) + row["start"]
        pieces[row["sequence"]].append((row["document"], begin, row["length"]))
        sources[row["sequence"]] = row["source"]
    return [PackedSequence(sources[index], opened.sequence(index), pieces[index]) for index in here]


def _share(file: Path, name: Path) -> None:
    """Let a file that does not change have a second name, or a copy where the file system cannot do that."""
    try:
        os.link(file, name, follow_symlinks=False)
    except OSError:
        shutil.copy2(file, name, follow_symlinks=False)


def _used(folder: Path, shards: Sequence[Shard]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the documents that shards hold now, by source, rising."""
    found: dict[str, list[npt.NDArray[np.int64]]] = {}
    for shard in shards:
        table = pq.read_table(pieces_path(folder / shard.path), columns=["source", "document"])
        sources, documents = np.array(table["source"].to_pylist()), table["document"].to_numpy()
        for source in np.unique(sources).tolist():
            found.setdefault(source, []).append(np.unique(documents[sources == source]))
    return {source: np.unique(np.concatenate(own)) for source, own in found.items()}


def _without(store: Path, out: Path, gone: npt.NDArray[np.bool_]) -> int:
    """Copy a validation store without some documents, and return how many those were; nothing left, no store."""
    if not gone.any():
        shutil.copytree(store, out, copy_function=_share_tree)
        return 0
    if gone.all():
        say(f"note: all validation text of {store.parent.name} is revoked; its losses can no longer be given")
        return len(gone)
    described = json.loads((store / "store.json").read_text())
    table = pq.read_table(store / DOCUMENTS_FILE)
    ids = np.memmap(store / "tokens.bin", f"<u{2 if described['dtype'] == 'uint16' else 4}", mode="r")
    kept = np.flatnonzero(~gone)
    starts, ends = table["start"].to_numpy()[kept], table["end"].to_numpy()[kept]
    out.mkdir(parents=True)
    with (out / "tokens.bin").open("wb") as stream:
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            stream.write(ids[start:end].tobytes())
    new_ends = np.cumsum(ends - starts)
    columns = {name: table[name].take(pa.array(kept, pa.int64())) for name in table.column_names}
    columns |= {"start": pa.array(new_ends - (ends - starts)), "end": pa.array(new_ends)}
    known = pa.Table.from_pydict(columns, STORE_DOCUMENT_SCHEMA)
    pq.write_table(known, out / DOCUMENTS_FILE)
    described |= {
        "tokens": int(new_ends[-1]),
        "documents": len(kept),
        "bytes": int(known["bytes"].to_numpy().sum()),
        "sha256": file_sha256(out / "tokens.bin"),
    }
    write_atomically(out / "store.json", json.dumps(described, indent=2) + "\n")
    return int(gone.sum())


def _share_tree(file: str, name: str) -> None:
    _share(Path(file), Path(name))
