"""Which texts are the same, or nearly, and which one of them stays?

Start at `dedup` (a file or folder, as large as its hashes fit in memory), at `deduplicate` (texts in memory), or at
`pipelines.corpus` (the same functions on Spark). The steps, each a function of its own: `pipelines.exact` hashes texts,
`pipelines.shingles` turns them into sets of hashed token 5-grams, `pipelines.minhash` proposes pairs that share an LSH
bucket, `jaccards` compares them truly, `survivors` decides.

The unit is a file, or a repository with all its files (`level`): its set is then the union of its files' sets, and it
stays or goes as a whole. An earlier result can be named (`against`): its texts stay, and are preferred to all new ones.

What always holds:

- No text is removed unless its true Jaccard with the one that stays is at least the threshold: LSH only proposes.
- Chains are bounded: a removed text is similar to its own survivor, never merely to something that is similar to it.
- A text of fewer tokens than a shingle is near only to texts of the same tokens, one without any token to nothing.
  Neither vanishes.
- The survivor is the preferred one: by the ranks given, then the larger, then by content hash, then by id.
- The result depends on the texts, their preference and the settings, not on order, batches, threads or partitions.
- What stays has no duplicate left in it that the first run compared. A second run may yet compare more: where a bucket
  holds more than `bucket_limit` texts, removing some lets others meet.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.dedup_index import INDEX, KEPT, Index, old_sets, read_index, write_index
from pipelines.minhash import buckets, candidate_pairs, signatures
from pipelines.near_duplicates import NearDuplicates
from pipelines.shingles import I64, ScatteredShingles, Shingles, jaccard, jaccards, shingles
from pipelines.spill import Desk, cores, measured_and_put, put, spill_file, spilled
from pipelines.text_tables import TextTable, null_mistake, null_rows, open_texts, repeated_mistakes
from pipelines.units import Units, combined, grouped, measured_texts, text_pieces, threads, unfilled
from quality.artifacts import check_place, creating
from quality.contracts import Contract, Expectation
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress

__all__ = [
    "CLUSTER_SCHEMA",
    "DEDUP_VERSION",
    "Edge",
    "NearDuplicates",
    "Rank",
    "Shingles",
    "buckets",
    "dedup",
    "deduplicate",
    "jaccard",
    "jaccards",
    "shingles",
    "signatures",
    "survivors",
]

DEDUP_VERSION = 3
"""Goes up with any change that may change a result, or how it is laid down; part of every identity."""

CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),  # id of the one that stayed
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),  # to the one that stayed; 1 for exact duplicates
        pa.field("reason", pa.string(), nullable=False),  # unique, survivor, same_bytes, same_text, near
    ]
)

CLUSTER_REASONS = ("unique", "survivor", "same_bytes", "same_text", "near")


def cluster_contract(threshold: float, *, alone: bool) -> Contract:
    """Return what must hold of clusters, asked of `checkable_clusters`.

    Args:
        threshold: Jaccard from which two texts are near duplicates.
        alone: Whether every survivor is in the table; none of an earlier result is.
    """
    heads = Expectation(
        "expect_column_pair_values_to_be_equal",
        {"column_A": "kept", "column_B": "first"},
        "a cluster has no survivor, or several",
    )
    return Contract(
        noun="cluster",
        key=("id", "cluster"),
        expectations=(
            *(
                Expectation("expect_column_values_to_not_be_null", {"column": column}, "nobody knows what it is of")
                for column in ("id", "cluster", "similarity")
            ),
            Expectation("expect_column_values_to_be_in_set", {"column": "reason", "value_set": list(CLUSTER_REASONS)}),
            Expectation(
                "expect_column_values_to_be_between",
                {"column": "similarity", "min_value": threshold, "max_value": 1},
                "something was removed that is not similar to its survivor",
            ),
            Expectation(
                "expect_column_pair_values_to_be_equal",
                {"column_A": "kept", "column_B": "itself"},
                "a cluster is not called by its survivor",
            ),
            *([heads] if alone else []),
        ),
    )


def checkable_clusters(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield rows of `CLUSTER_SCHEMA`, which are sorted by cluster with the survivor first, with two columns more.

    `itself`: whether the row is the one that its cluster is called by; `first`: whether it is the first of its cluster.
    """
    before: str | None = None
    for table in tables:
        cluster: Any = table["cluster"].combine_chunks()
        shifted = pa.concat_arrays([pa.array([before], pa.string()), cluster.slice(0, len(cluster) - 1)])
        first: Any = pc.fill_null(pc.not_equal(cluster, shifted), pa.scalar(True))
        before = cluster[-1].as_py()
        yield table.append_column("itself", pc.equal(table["id"], cluster)).append_column("first", first)


Level = Literal["file", "repository"]
Compare = Callable[[I64, I64], NDArray[np.float64]]


# --- Who stays ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edge:
    """Two near duplicates.

    Args:
        better: The preferred one (an id, or an index).
        worse: The other.
        similarity: Their true Jaccard.
    """

    better: Any
    worse: Any
    similarity: float


def survivors(preferred: Sequence[Any], edges: Iterable[Edge]) -> dict[Any, tuple[Any, float]]:
    """Return what is removed: each with the text it is removed for, and their similarity.

    Texts are taken in order of preference. One that is similar to texts that stay is removed for the most similar (the
    preferred of equals); any other stays.

    Args:
        preferred: All texts, the preferred first.
        edges: Verified near duplicates.
    """
    place = {text: at for at, text in enumerate(preferred)}
    rows = [(place[edge.better], place[edge.worse], edge.similarity) for edge in edges]
    better = np.array([row[0] for row in rows], np.int64)
    worse = np.array([row[1] for row in rows], np.int64)
    removed = _removed(better, worse, np.array([row[2] for row in rows], np.float64))
    return {preferred[one]: (preferred[other], similarity) for one, (other, similarity) in removed.items()}


def _removed(better: I64, worse: I64, similarity: NDArray[np.float64]) -> dict[int, tuple[int, float]]:
    """Return `survivors` of texts that are called by their place in the order of preference."""
    # By text, then the most similar first: what a text could be removed for is decided before the text is met.
    order = np.lexsort((better, -similarity, worse))
    removed: dict[int, tuple[int, float]] = {}
    for one, other, value in zip(
        worse[order].tolist(), better[order].tolist(), similarity[order].tolist(), strict=True
    ):
        if one not in removed and other not in removed:
            removed[one] = (other, value)
    return removed


# --- Order of preference ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rank:
    """A column that says which of two duplicates is preferred.

    Args:
        column: Its name. Numbers, dates, times, truth values or strings; null comes last.
        descending: Whether larger values are preferred.
        values: The preferred values, the best first; any other comes after them. Replaces the order of values.
    """

    column: str
    descending: bool = False
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Rank:
        """Return the rank that `COLUMN`, `COLUMN:asc`, `COLUMN:desc` or `COLUMN:VALUE,VALUE,...` stands for."""
        column, colon, way = text.partition(":")
        if way in ("asc", "desc") or not colon:
            return cls(column, way == "desc")
        values = tuple(way.split(","))
        if not column or "" in values:
            bad_input(f"--rank {text}", "write COLUMN, COLUMN:asc, COLUMN:desc or COLUMN:VALUE,VALUE,...")
        return cls(column, values=values)

    def places(self, column: Any) -> I64:
        """Return a number for each value, the smaller the more it is preferred.

        Args:
            column: The column, an Arrow array.
        """
        if self.values:
            texts = pc.cast(column, pa.string())
            # `stars:ascending` reads as a list of one value.
            if len(self.values) == 1 and self.values[0] not in pc.unique(texts).to_pylist():
                bad_input(
                    f"rank {self.column}:{','.join(self.values)}",
                    f"no row has any of these values; to go by the order of values write {self.column}:asc or :desc",
                )
            found = pc.index_in(texts, pa.array(self.values, pa.string())).fill_null(len(self.values))
            places = found.to_numpy().astype(np.int64)
            places[column.is_null().to_numpy(zero_copy_only=False)] += 1
            return places
        way = "descending" if self.descending else "ascending"
        ordered = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
        return pc.rank(ordered, sort_keys=way, tiebreaker="dense").to_numpy().astype(np.int64)


def preference(units: Units, ids: Any, ranks: Sequence[I64]) -> I64:
    """Return the units' numbers, the preferred first: by rank, then the larger, then by content hash, then by id.

    Args:
        units: The units.
        ids: Their ids, an Arrow array of strings, all different.
        ranks: Numbers for each unit, the smaller the more it is preferred; the most important first.
    """
    name = np.empty(len(units), np.int64)
    name[pc.sort_indices(ids).to_numpy()] = np.arange(len(units))
    return np.lexsort((name, units.raw[:, 1], units.raw[:, 0], -units.lengths, *reversed(ranks)))


# --- The decision -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """What is a duplicate of what.

    Args:
        survivor: For each unit the number of the one that stays: itself, where it does.
        exact: The number of the unit of the same text that is preferred to it; itself, where there is none.
        similarity: Of each unit to its survivor.
    """

    survivor: I64
    exact: I64
    similarity: NDArray[np.float64]


def decided(units: Units, order: I64, config: NearDuplicates, compare: Compare, old: int = 0) -> Decision:
    """Decide who stays.

    Args:
        units: The units.
        order: Their numbers, the preferred first.
        config: The settings.
        compare: Gives the true Jaccard of pairs of units.
        old: How many, at the start of `order`, stay whatever they are similar to.
    """
    if not len(units):
        return Decision(order, order, np.zeros(0))
    place = np.empty(len(units), np.int64)
    place[order] = np.arange(len(units))
    same = np.lexsort((place, units.normalised[:, 1], units.normalised[:, 0]))
    new = np.append(True, (units.normalised[same[1:]] != units.normalised[same[:-1]]).any(axis=1))
    exact = np.empty(len(units), np.int64)
    exact[same] = same[new][np.cumsum(new) - 1]
    exact[order[:old]] = order[:old]
    unique = order[exact[order] == order]
    better, worse = proposed(units, unique, config, old)
    similarity = compare(unique[better], unique[worse])
    near = similarity >= config.threshold
    survivor, likeness = np.arange(len(units)), np.ones(len(units))
    for one, (other, value) in _removed(better[near], worse[near], similarity[near]).items():
        survivor[unique[one]], likeness[unique[one]] = unique[other], value
    return Decision(survivor[exact], exact, likeness[exact])


def proposed(units: Units, order: I64, config: NearDuplicates, old: int = 0) -> tuple[I64, I64]:
    """Return the pairs to compare: places in `order` of the better and the worse.

    Args:
        units: The units.
        order: The numbers of those to compare, the preferred first.
        config: The settings.
        old: How many, at the start of `order`, are not compared with each other.
    """
    sizes = units.sizes[order]
    filled = np.flatnonzero(sizes)
    better, worse = candidate_pairs(units.buckets, order[filled], config.bucket_limit)
    better, worse = filled[better], filled[worse]
    # A Jaccard is never more than the smaller size over the larger.
    small, large = np.minimum(sizes[better], sizes[worse]), np.maximum(sizes[better], sizes[worse])
    likely = (worse >= old) & (small >= config.threshold * large)
    return better[likely], worse[likely]


_COMPARED_PAIRS = 1 << 16


def compared(sets: Shingles | ScatteredShingles, left: I64, right: I64) -> NDArray[np.float64]:
    """Return the true Jaccard of pairs of units, with a progress bar."""
    similarity = np.zeros(len(left))
    with progress(total=len(left), description="comparing", unit="pair") as bar:
        for start in range(0, len(left), _COMPARED_PAIRS):
            part = slice(start, start + _COMPARED_PAIRS)
            similarity[part] = jaccards(sets, left[part], right[part])
            bar.update(len(left[part]))
    return similarity


def cluster_table(ids: Any, units: Units, decision: Decision, rows: I64) -> pa.Table:
    """Return a row of `CLUSTER_SCHEMA` for some units, sorted by cluster, the one that stays first, then by id.

    Args:
        ids: All units' ids, an Arrow array of strings.
        units: All units.
        decision: What was decided.
        rows: The numbers of the units to report.
    """
    survivor, exact = decision.survivor[rows], decision.exact[rows]
    leads = np.zeros(len(units), np.bool_)
    others = decision.survivor != np.arange(len(units))
    leads[decision.survivor[others]] = True
    kept = survivor == rows
    # An exact duplicate of what is near to the survivor is the one's copy and the other's near duplicate: the former.
    copied = exact != rows
    bytes_too = (units.raw[rows] == units.raw[exact]).all(axis=1)
    words = pa.array(["unique", "survivor", "near", "same_text", "same_bytes"])
    code = np.where(copied, np.where(bytes_too, 4, 3), np.where(kept, leads[rows], 2))
    table = pa.Table.from_arrays(
        [
            ids.take(rows),
            ids.take(survivor),
            pa.array(kept),
            pa.array(decision.similarity[rows]),
            words.take(code),
        ],
        schema=CLUSTER_SCHEMA,
    )
    return table.sort_by([("cluster", "ascending"), ("kept", "descending"), ("id", "ascending")])


def deduplicate(
    ids: Sequence[str],
    texts: Sequence[str],
    config: NearDuplicates,
    preferences: Sequence[str] | None = None,
    repositories: Sequence[str] | None = None,
) -> pa.Table:
    """Return what is a duplicate of what among texts in memory.

    Args:
        ids: A name for each text, all different.
        texts: The texts.
        config: The settings.
        preferences: A text for each that sorts first for the one that should stay among duplicates; where equal, and
            when None, the larger text stays, then the one with the smaller content hash, then the smaller id.
        repositories: The repository of each text, where whole repositories are compared and stay or go; its preference
            is the best of its texts'.

    Returns:
        A row of `CLUSTER_SCHEMA` for each text (for each repository, called by its name), sorted by cluster, the one
        that stays first, then by id.
    """
    units, sets = measured_texts(texts, config.signing)
    names = pa.array(ids, pa.string())
    ranks = [] if preferences is None else [Rank("preference").places(pa.array(preferences, pa.string()))]
    if repositories is not None and len(ids):
        names, group = numbered(pa.array(repositories, pa.string()))
        units, sets = grouped(units, sets, group, config.signing)
        ranks = [best_of(rank, group, len(names)) for rank in ranks]
    decision = decided(units, preference(units, names, ranks), config, partial(compared, sets))
    return cluster_table(names, units, decision, np.arange(len(units)))


def numbered(names: Any) -> tuple[Any, I64]:
    """Return the different values of an Arrow array of strings, sorted, and the number of each row's value."""
    distinct = pc.unique(names).sort()
    return distinct, pc.index_in(names, distinct).to_numpy().astype(np.int64)


def best_of(rank: I64, group: I64, groups: int) -> I64:
    """Return the smallest rank in each group."""
    best = np.full(groups, np.iinfo(np.int64).max)
    np.minimum.at(best, group, rank)
    return best


# --- A table on disk ----------------------------------------------------------------------------------------------

STATE_BYTES = 800
"""Memory a text takes besides its LSH buckets (8 bytes a band): its id three times, hashes, sizes, its cluster's row.
Measured as the growth of the peak from 100,000 to 400,000 texts with ids of 36 characters, 977 bytes with 25 bands."""

_PIECES_AT_ONCE = 2  # for each time, two threads here and two processes wake each other
_KEPT_BYTES = 32 << 20
_PART_BYTES = 32 << 20


def dedup(
    table: Path | str,
    out: Path | str,
    config: NearDuplicates | None = None,
    *,
    ranks: Sequence[Rank] = (),
    level: Level = "file",
    repository_column: str = "repo_name",
    against: Sequence[Path | str] = (),
    command: str = "",
) -> dict[str, int]:
    """Remove exact and near duplicates from a table of texts, in this process.

    The table is read twice, a batch at a time: for its hashes, which stay in memory, and for the rows to keep. Shingles
    go to a file beside the result until it is done.

    Args:
        table: A Parquet or JSON Lines file, or a folder of either, with `id` and `text`.
        out: The artifact's folder: gets `kept.parquet` (a folder of files: all columns of the rows that stay, in their
            order), `clusters.parquet` and `index.parquet` (what a later batch is compared with).
        config: The settings; the default ones when None.
        ranks: What makes one of two duplicates preferred, the most important first; then the larger, then the one
            with the smaller content hash, then the smaller id. A repository has the best rank of its files.
        level: Whether files are compared, or repositories as wholes; then ids in `clusters.parquet` are theirs.
        repository_column: Names each row's repository, where those are compared.
        against: Earlier results of the same settings: what stayed there stays, is preferred to everything here in the
            order named, and may be the cluster of a row here. Nothing there is hashed again.
        command: The command line that makes it again.

    Returns:
        `documents` (or repositories), `exact_removed`, `near_removed`, `kept`.

    Raises:
        BadInput: The table cannot be used, is too large for this machine's memory, or what it is compared with was made
            with other settings; all mistakes are listed.
    """
    path = Path(table)
    config = config or NearDuplicates()
    check_place(out, "dedup")
    check_apart(path, Path(out))
    unit = "id" if level == "file" else repository_column
    named = [rank.column for rank in ranks]
    source = open_texts(path, [unit, *named])
    _check_memory(source, config)
    identity = dedup_identity(source.sha256(), config, ranks) | {
        "level": level,
        **({"repository_column": repository_column} if level == "repository" else {}),
    }
    earlier = [read_index(Path(folder), identity) for folder in against]
    identity["against"] = [index.fingerprint for index in earlier]
    with creating(out, "dedup", identity, command=command) as draft, spill_file(draft.path) as spill:
        files, starts, columns = _hashed(source, config, unit, named, spill)
        names, units, group = columns["id"], files, np.arange(len(files))
        places = [rank.places(columns[rank.column]) for rank in ranks]
        if level == "repository":
            names, group = numbered(columns[unit])
            units, sets = grouped(files, spilled(spill, starts, files.sizes), group, config.signing)
            places = [best_of(place, group, len(names)) for place in places]
            starts = put(sets, spill)
        order = preference(units, names, places)
        clusters, stays = _compared_with(earlier, names, units, starts, order, unit, config, spill)
        _write_kept(source, stays[group], draft.path / KEPT)
        pq.write_table(clusters, draft.path / "clusters.parquet", compression="zstd")
        write_index(draft.path / INDEX, names, units, order[stays[order]])
        reasons = Counter(clusters["reason"].to_pylist())
        draft.counts |= {
            "documents": len(units),
            "exact_removed": reasons["same_bytes"] + reasons["same_text"],
            "near_removed": reasons["near"],
            "kept": int(stays.sum()),
        }
    return dict(draft.counts)


def check_apart(table: Path, out: Path) -> None:
    """Refuse a table that lies in the folder that its own result would replace."""
    if out.resolve() in (table.resolve(), *table.resolve().parents):
        bad_input(table, f"lies in {out}, which the result would replace; name another --out")


def dedup_identity(digest: str, config: NearDuplicates, ranks: Sequence[Rank]) -> dict[str, Any]:
    """Return what a result depends on, wherever it is made.

    Args:
        digest: Of the table.
        config: The settings.
        ranks: What makes one of two duplicates preferred.
    """
    return {
        "version": DEDUP_VERSION,
        "input": digest,
        "near_duplicates": config.model_dump(mode="json"),
        "level": "file",
        "ranks": [{**vars(rank), "values": list(rank.values)} for rank in ranks],
    }


def _hashed(
    source: TextTable, config: NearDuplicates, unit: str, others: Sequence[str], spill: Path
) -> tuple[Units, I64, dict[str, Any]]:
    """Return what is known of each row, where in `spill` its shingles are put, and its columns but the text."""
    found, places = unfilled(source.rows, config.bands), np.zeros(source.rows, np.int64)
    names = list(dict.fromkeys(["id", unit, *others]))
    held: dict[str, list[Any]] = {name: [] for name in names}
    nulls: dict[str, list[I64]] = {}
    done = filled = 0
    working: deque[tuple[int, int, Iterator[tuple[Units, I64]]]] = deque()

    def begin(texts: Any) -> None:
        content, pieces = text_pieces(texts)
        file = desk.lay(content)
        work = partial(measured_and_put, owner=os.getpid(), file=file, signing=config.signing, spill=spill)
        working.append((len(texts), file, pool.map(work, pieces, chunksize=_PIECES_AT_ONCE)))

    def finish_first() -> None:
        nonlocal filled
        rows, file, parts = working.popleft()
        for units, starts in parts:
            found.fill(filled, units)
            places[filled : filled + len(units)] = starts
            filled += len(units)
        desk.clear(file)
        bar.update(rows)

    bar = progress(total=source.rows, description="hashing", unit="text")
    with bar, Desk() as desk, cores(source.size) as pool:
        for batch in source.batches(["text", *names]):
            for name in {"text", "id", unit}:
                rows = null_rows(batch[name], done)
                if len(rows):
                    nulls.setdefault(name, []).append(rows)
            done += batch.num_rows
            for name in names:
                held[name].append(batch[name].cast(pa.string()) if name in ("id", unit) else batch[name])
            if not nulls:
                begin(batch["text"])
            # One batch is read, and one begun, while the one before is worked on.
            if len(working) > 1:
                finish_first()
        while working:
            finish_first()
    columns = {name: pa.concat_arrays(pieces) for name, pieces in held.items()}
    mistakes = [null_mistake(source.path, name, np.concatenate(rows)) for name, rows in sorted(nulls.items())]
    mistakes.extend(repeated_mistakes(source.path, columns["id"].drop_null()))
    if mistakes:
        raise BadInput(mistakes)
    return found, places, columns


def _compared_with(
    earlier: Sequence[Index],
    names: Any,
    units: Units,
    starts: I64,
    order: I64,
    unit: str,
    config: NearDuplicates,
    spill: Path,
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Decide on units, beside what earlier results kept; return their clusters, and which of them stay."""
    number = len(units)
    everything = combined([units, *(index.units for index in earlier)]) if earlier else units
    all_names = pa.concat_arrays([names, *(index.ids for index in earlier)])
    mistakes = _taken_mistakes(names, earlier)
    if mistakes:
        raise BadInput(mistakes)
    first = np.cumsum([number, *(len(index.units) for index in earlier)])
    old = np.arange(number, len(everything))

    def compare(left: I64, right: I64) -> NDArray[np.float64]:
        # What stayed earlier is read where it shares a bucket with something new, and laid behind the new sets.
        sizes, places = [units.sizes], [starts]
        needed = np.unique(np.concatenate([left, right]))
        for index, start in zip(earlier, first, strict=False):
            own = needed[(needed >= start) & (needed < start + len(index.units))]
            sets = old_sets(index.folder, unit, all_names.take(own), config.shingle_size)
            for parts, values in ((sizes, sets.sizes), (places, put(sets, spill))):
                parts.append(np.zeros(len(index.units), np.int64))
                parts[-1][own - start] = values
        return compared(spilled(spill, np.concatenate(places), np.concatenate(sizes)), left, right)

    decision = decided(everything, np.concatenate([old, order]), config, compare, len(old))
    clusters = cluster_table(all_names, everything, decision, np.arange(number))
    return clusters, decision.survivor[:number] == np.arange(number)


_SHOWN_IDS = 5


def _taken_mistakes(names: Any, earlier: Sequence[Index]) -> list[Mistake]:
    """Return which ids stand in an earlier result already, as no name may stand for two texts."""
    mistakes: list[Mistake] = []
    before: list[tuple[str, Any]] = [("the table", names)]
    for index in earlier:
        for where, known in before:
            taken = known.filter(pc.is_in(known, index.ids))
            if len(taken):
                shown = ", ".join(map(repr, taken[:_SHOWN_IDS].to_pylist()))
                more = f" and {len(taken) - _SHOWN_IDS:,} more" if len(taken) > _SHOWN_IDS else ""
                why = f"holds ids that {where} holds too: {shown}{more}; name them apart (a prefix a batch, say)"
                mistakes.append(Mistake(f"--against {index.folder}", why))
        before.append((str(index.folder), index.ids))
    return mistakes


def _write_kept(source: TextTable, kept: NDArray[np.bool_], folder: Path) -> None:
    """Write the rows that stay, in their order, to files that are written beside each other."""
    folder.mkdir()
    # Texts and ids that differ gain nothing from a dictionary, but are looked up in it.
    repeating: Any = [name for name in source.schema.names if name not in ("id", "text")]
    write = partial(
        pq.ParquetWriter, use_dictionary=repeating, compression="zstd", compression_level=1, schema=source.schema
    )

    def part(number: int, rows: TextTable, first: int) -> None:
        held, size, done = list[pa.RecordBatch](), 0, first
        with write(folder / f"{number:05d}.parquet") as writer:
            for batch in rows.batches():
                held.append(batch.filter(pa.array(kept[done : done + batch.num_rows])))
                size += held[-1].nbytes
                done += batch.num_rows
                if size >= _KEPT_BYTES or done == first + rows.rows:
                    writer.write_table(pa.Table.from_batches(held, source.schema))
                    held, size = [], 0
                bar.update(batch.num_rows)

    # Of the table alone, so that the files are the same on any number of cores.
    parts = source.split(-(-source.size // _PART_BYTES))
    firsts = np.cumsum([0, *(rows.rows for rows in parts)])
    with progress(total=source.rows, description="writing", unit="text") as bar, threads() as pool:
        for _ in pool.map(part, range(len(parts)), parts, firsts.tolist()):
            pass


def _check_memory(source: TextTable, config: NearDuplicates) -> None:
    """Refuse a table whose hashes will not fit, before any work."""
    needed = source.rows * (STATE_BYTES + 8 * config.bands)
    available = available_memory()
    if available is not None and needed > available:
        bad_input(
            source.path,
            f"{source.rows:,} texts need about {needed / 1e9:,.1f} GB of memory for their hashes, and "
            f"{available / 1e9:,.1f} GB are free; take fewer --bands, a larger machine, or Spark (--engine spark)",
        )


def available_memory() -> int | None:
    """Return how many bytes of memory this process may still take; None where the system does not say."""
    limits: list[int] = []
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        limits.append(int(fields["MemAvailable"].split()[0]) * 1024)
    most, used = group / "memory.max", group / "memory.current"
    if most.is_file() and used.is_file() and most.read_text().strip() != "max":
        limits.append(int(most.read_text()) - int(used.read_text()))
    return min(limits, default=None)
