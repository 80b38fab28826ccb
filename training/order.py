"""Which sequence comes next in a mixture: a pure function of (stores, allocation, tokens, sequence length, seed).

Start at `plan_order`; `Order.sequence(i)` is the i-th training sequence of the mixture, and depends on nothing else:
no state, no number of processes, no what-came-before, so a run may resume anywhere and any world size reads the same.

What always holds:

- Each source gets its share of the tokens to within one sequence, and so does each source in every prefix. Where the
  allocation has stages, that is the share of all stages up to there.
- A source is an endless stream (`Stream`): its documents in a random order, then all again in a new one. No document
  is drawn again before all others were; sequence k of a source is the stream's tokens from k x length on, and one
  more, which is the last token's target.
- No source is read more than `max_epochs` times; a request that needs more is `Infeasible` and says what would fit.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from quality.artifacts import canonical_json
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import Allocation, Stage, normalised, staged
from training.stores import TokenStore
from training.turns import interleave, interleave_stages

# Source: Muennighoff et al. (2023), arXiv 2305.16264: up to 4 epochs change the loss hardly at all.
MAX_EPOCHS = 4.0
_BLOCK = 1024
_BLOCKS_KEPT = 1024  # 8 MB: random access to a million sequences works no block out twice


class Infeasible(BadInput):
    """A mixture that the stores cannot supply.

    Args:
        report: JSON: `error`; `tokens`, `max_epochs`; `shortage`, for each source that is short its `wanted`,
            `available`, `missing` tokens and its `supply` of unique tokens; `nearest`, the feasible request that is
            closest (`tokens` and an `allocation`, or null where nothing can be supplied at all); and
            `same_shares_tokens`, up to how many tokens the allocation is feasible as it is.
    """

    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report
        super().__init__(
            Mistake(f"shares.{source}", f"{short['wanted']} tokens wanted, at most {short['available']} available")
            for source, short in report["shortage"].items()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Infeasible, (self.report,)


Piece: TypeAlias = tuple[int, int, int]
"""A stretch of a document: its row in the store, the first token's offset in the store, and how many tokens."""


class Stream:
    """The tokens of a source, endlessly: its documents in a random order, then all again in a new one.

    Args:
        store: The source's tokens.
        seed: Permutes the units (documents, or repositories where the store keeps those together).
        kept: Whether each document is drawn at all, shape (documents,); None for all.
    """

    def __init__(self, store: TokenStore, seed: int, kept: npt.NDArray[np.bool_] | None = None) -> None:
        self.store = store
        self._seed = seed
        self._kept = kept
        lengths = store.ends - store.starts
        self.tokens = store.tokens if kept is None else int(lengths[kept].sum())
        self._epochs: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def epoch(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the documents in an epoch's order, and at which of its tokens each ends; both (documents drawn,)."""
        known = self._epochs.get(number)
        if known is None:
            store = self.store
            units = permutation(len(store.units), self._seed, store.source, number)
            documents = units if len(units) == store.documents else _expanded(store.units, units)
            if self._kept is not None:
                documents = documents[self._kept[documents]]
            known = documents, np.cumsum((store.ends - store.starts)[documents])
            self._epochs[number] = known
        return known

    def pieces(self, start: int, length: int) -> list[Piece]:
        """Return what `length` tokens of the stream from `start` on consist of."""
        found: list[Piece] = []
        number, offset = divmod(start, self.tokens)
        while length:
            documents, ends = self.epoch(number)
            place = int(ends.searchsorted(offset, side="right"))
            while length and place < len(documents):
                document = documents.item(place)
                left = ends.item(place) - offset
                taken = left if left < length else length
                found.append((document, self.store.ends.item(document) - left, taken))
                length -= taken
                offset += taken
                place += 1
            number, offset = number + 1, 0
        return found

    def read_rows(
        self, starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], found: npt.NDArray[np.int64]
    ) -> None:
        """Read the tokens of the stream from many places on: what `read` of `pieces` is of each.

        Documents are looked up for all rows together, since finding one costs as much as copying some hundred tokens.

        Args:
            starts: Where each row starts in the stream, shape (n,).
            rows: Which rows of `found` get the tokens, shape (n,).
            found: Contiguous, shape (rows, tokens of a row).
        """
        flat, ids, width = found.reshape(-1), self.store.ids, found.shape[1]
        filled, stops = rows * width, (rows + 1) * width
        while len(starts):
            numbers, offsets = np.divmod(starts, self.tokens)
            taken = np.minimum(stops - filled, self.tokens - offsets)
            for number in np.unique(numbers).tolist():
                own = numbers == number
                into, begins, lengths = self._found(number, offsets[own], taken[own], filled[own])
                for place, begin, length in zip(into.tolist(), begins.tolist(), lengths.tolist(), strict=True):
                    flat[place : place + length] = ids[begin : begin + length]
            # What is left of a row comes from the next epoch.
            left = np.flatnonzero(filled + taken < stops)
            starts, filled, stops = (starts + taken)[left], (filled + taken)[left], stops[left]

    def _found(
        self,
        number: int,
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        into: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the pieces of stretches of an epoch: where each goes, where it begins in the store, and its tokens.

        Args:
            number: The epoch.
            offsets: Where each stretch starts in it, shape (n,).
            lengths: The tokens of each, at least 1; none reaches beyond the epoch.
            into: Where the first token of each goes.
        """
        documents, ends = self.epoch(number)
        first, last = ends.searchsorted(offsets, side="right"), ends.searchsorted(offsets + lengths, side="left")
        counts = last - first + 1
        behind = np.cumsum(counts)
        places = np.arange(behind[-1]) + np.repeat(first - behind + counts, counts)
        begin, end = ends[places - 1], ends[places]
        begin[behind - counts], stop = offsets, end.copy()
        stop[behind - 1] = offsets + lengths
        return (
            begin + np.repeat(into - offsets, counts),
            self.store.ends[documents[places]] - end + begin,
            stop - begin,
        )

    def read(self, pieces: Sequence[Piece]) -> npt.NDArray[np.int64]:
        """Return the tokens of pieces, one after the other, shape (sum of lengths,)."""
        found = np.empty(sum(length for _, _, length in pieces), np.int64)
        ids, filled = self.store.ids, 0
        for _, begin, length in pieces:
            found[filled : filled + length] = ids[begin : begin + length]
            filled += length
        return found

    def begun(self, tokens: int) -> tuple[int, int]:
        """Return where the first `tokens` tokens stop: the epoch, and how many of its documents were begun."""
        number, offset = divmod(tokens, self.tokens)
        _, ends = self.epoch(number)
        return number, int(ends.searchsorted(offset, side="left")) + 1 if offset else 0

    def further(self, epoch: int, begun: int) -> Iterator[tuple[int, int, int]]:
        """Yield the documents that come after so many of an epoch were begun, endlessly.

        Args:
            epoch: The epoch.
            begun: Documents of it that came before, as `begun` of the stream of all documents says.

        Yields:
            The document, its epoch, and how many of all documents of that were begun with it.
        """
        everything = Stream(self.store, self._seed)
        while True:
            documents, _ = everything.epoch(epoch)
            for place in range(begun, len(documents)):
                if self._kept is None or self._kept[documents[place]]:
                    yield documents.item(place), epoch, place + 1
            epoch, begun = epoch + 1, 0

    def drawn(self, tokens: int) -> npt.NDArray[np.int64]:
        """Return the documents that the first `tokens` tokens of the stream come from, rising."""
        number, begun = self.begun(tokens)
        documents, _ = self.epoch(0)
        return np.sort(documents if number else documents[:begun])


def _expanded(units: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the documents of units, in the order in which the units are chosen.

    Args:
        units: At which document each unit ends (exclusive), rising.
        chosen: Units.
    """
    starts = np.concatenate([np.zeros(1, np.int64), units[:-1]])[chosen]
    sizes = units[chosen] - starts
    firsts = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - firsts, sizes)


@dataclass(frozen=True, eq=False)
class Order:
    """A planned mixture; make it with `plan_order`.

    Args:
        stores: Source to store, only those that are drawn from.
        sequence_length: Tokens a sequence trains on.
        seed: Permutes the documents.
        counts: Source to how many sequences of it there are in all.
        pattern: Index into `counts` for each sequence of one period, shape (period,); it repeats. An order of several
            stages is one period.
    """

    stores: Mapping[str, TokenStore]
    sequence_length: int
    seed: int
    counts: Mapping[str, int]
    pattern: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return sum(self.counts.values())

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Return the sources that are drawn from."""
        return tuple(self.counts)

    @cached_property
    def tokens(self) -> dict[str, int]:
        """Return the tokens trained on, by source."""
        return {source: count * self.sequence_length for source, count in self.counts.items()}

    @cached_property
    def repeats(self) -> dict[str, float]:
        """Return how often each source is read, in epochs."""
        return {source: tokens / self.stores[source].tokens for source, tokens in self.tokens.items()}

    @property
    def tokenizer(self) -> str:
        """Return the SHA-256 of the tokenizer file."""
        return next(iter(self.stores.values())).tokenizer

    def source_of(self, index: int) -> str:
        """Return which source sequence `index` comes from."""
        return self.sources[self.pattern[self._checked(index) % len(self.pattern)]]

    def position_of(self, index: int) -> int:
        """Return how many sequences of the same source come before sequence `index`."""
        rounds, offset = divmod(self._checked(index), len(self.pattern))
        source = int(self.pattern[offset])
        block = offset // _BLOCK
        before = np.count_nonzero(self.pattern[block * _BLOCK : offset] == source)
        return rounds * int(self._before[-1, source]) + int(self._before[block, source]) + int(before)

    def codes_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.integer]:
        """Return which of `sources` sequences come from, shape (n,)."""
        return self.pattern[indices % len(self.pattern)]

    def positions_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how many sequences of the same source come before each of some sequences, shape (n,)."""
        rounds, offsets = np.divmod(indices, len(self.pattern))
        blocks, within = np.divmod(offsets, _BLOCK)
        codes = self.pattern[offsets]
        found = rounds * self._before[-1, codes] + self._before[blocks, codes]
        for block in np.unique(blocks).tolist():
            own = blocks == block
            found[own] += self._ranks(block)[within[own]]
        return found

    def sequences(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return some sequences, each with the token that follows it, shape (n, sequence_length + 1).

        Raises:
            IndexError: There is no such sequence.
        """
        for index in (indices.min(initial=0), indices.max(initial=0)):
            self._checked(int(index))
        found = np.empty((len(indices), self.sequence_length + 1), np.int64)
        codes, starts = self.codes_of(indices), self.positions_of(indices) * self.sequence_length
        for code in np.unique(codes).tolist():
            rows = np.flatnonzero(codes == code)
            self.streams[self.sources[code]].read_rows(starts[rows], rows, found)
        return found

    def sequence(self, index: int) -> npt.NDArray[np.int64]:
        """Return sequence `index` and the token that follows it, shape (sequence_length + 1,)."""
        source = self.source_of(index)
        stream = self.streams[source]
        return stream.read(stream.pieces(self.position_of(index) * self.sequence_length, self.sequence_length + 1))

    def pieces(self, index: int) -> list[Piece]:
        """Return which documents sequence `index` comes from; the last piece is the token that follows it."""
        stream = self.streams[self.source_of(index)]
        start = self.position_of(index) * self.sequence_length
        return [*stream.pieces(start, self.sequence_length), *stream.pieces(start + self.sequence_length, 1)]

    def bytes_of(self, index: int) -> int:
        """Return how many UTF-8 bytes the `sequence_length` tokens of sequence `index` stand for."""
        ids = self.sequence(index)[:-1]
        return int(self.stores[self.source_of(index)].id_bytes[ids].sum())

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return index

    @cached_property
    def _before(self) -> npt.NDArray[np.int64]:
        """Sequences of each source before each block of the pattern, and after its end; (blocks + 1, sources)."""
        edges = [*range(0, len(self.pattern), _BLOCK), len(self.pattern)]
        counted = [
            np.bincount(self.pattern[start:stop], minlength=len(self.counts))
            for start, stop in itertools.pairwise(edges)
        ]
        return np.concatenate([np.zeros((1, len(self.counts)), np.int64), np.cumsum(counted, axis=0)])

    @cached_property
    def _ranks(self) -> Callable[[int], npt.NDArray[np.int64]]:
        """Return what says, of a block of the pattern, how many of the same source come before each turn in it."""

        @lru_cache(maxsize=_BLOCKS_KEPT)
        def ranks(block: int) -> npt.NDArray[np.int64]:
            codes = self.pattern[block * _BLOCK : (block + 1) * _BLOCK]
            order = np.argsort(codes, kind="stable")
            starts = np.concatenate(([0], np.cumsum(np.bincount(codes))[:-1]))
            found = np.empty(len(codes), np.int64)
            found[order] = np.arange(len(codes)) - starts[codes[order]]
            return found

        return ranks

    @cached_property
    def streams(self) -> dict[str, Stream]:
        """Return the endless stream of each source."""
        return {source: Stream(store, self.seed) for source, store in self.stores.items()}

    def __getstate__(self) -> dict[str, Any]:
        fields = ("stores", "sequence_length", "seed", "counts", "pattern")
        return {name: getattr(self, name) for name in fields}


def plan_order(
    stores: Mapping[str, TokenStore],
    allocation: Allocation,
    tokens: int,
    sequence_length: int,
    seed: int,
    max_epochs: float = MAX_EPOCHS,
) -> Order:
    """Plan a mixture.

    Args:
        stores: Source to training store.
        allocation: Share of the tokens by source.
        tokens: Tokens to train on in all; rounded down to whole sequences.
        sequence_length: Tokens a sequence.
        seed: Permutes the documents anew in each epoch.
        max_epochs: How often a source may be read.

    Returns:
        The order, of `tokens // sequence_length` sequences.

    Raises:
        Infeasible: A source is missing, or would be read more than `max_epochs` times.
        BadInput: A number is out of range, or the stores were made with different tokenizers.
    """
    mistakes = [
        Mistake(name, f"{value!r}: must be {least}")
        for name, value, right, least in (
            ("tokens", tokens, tokens >= sequence_length, f"at least one sequence ({sequence_length})"),
            ("sequence_length", sequence_length, sequence_length >= 1, "at least 1"),
            ("seed", seed, seed >= 0, "at least 0"),
            ("max_epochs", max_epochs, max_epochs > 0 and math.isfinite(max_epochs), "above 0 and finite"),
        )
        if not right
    ]
    if mistakes:
        raise BadInput(mistakes)
    wanted = {source: share for source, share in allocation.targets(tokens).items() if share > 0}
    tokenizers = {store.tokenizer for source, store in stores.items() if source in wanted}
    if len(tokenizers) > 1:
        bad_input("stores", f"made with different tokenizers ({', '.join(sorted(t[:12] for t in tokenizers))})")
    supply = {source: stores[source].tokens if source in stores else 0 for source in wanted}
    parts = allocation.parts(tokens // sequence_length * sequence_length)
    pattern = None
    if not allocation.stages:
        shares = {source: share for source, share in allocation.shares.items() if share > 0}
        counts = apportion(shares, tokens, sequence_length)
    else:
        names = sorted(wanted)
        exact = [(Fraction(until, sequence_length), normalised(shares)) for until, shares in parts]
        turns = interleave_stages([(until, [own.get(name, Fraction(0)) for name in names]) for until, own in exact])
        taken = np.bincount(turns, minlength=len(names))
        counts = dict(zip(names, taken.tolist(), strict=True))
        pattern = np.searchsorted(np.flatnonzero(taken), turns).astype(np.uint16)
    report = shortage_report(allocation, counts, supply, tokens, sequence_length, max_epochs)
    if report is not None:
        raise Infeasible(report)
    counts = {source: count for source, count in sorted(counts.items()) if count}
    drawn = {source: stores[source] for source in counts}
    return Order(
        drawn, sequence_length, seed, counts, interleave(list(counts.values())) if pattern is None else pattern
    )


def apportion(shares: Mapping[str, float], tokens: int, sequence_length: int) -> dict[str, int]:
    """Return how many whole sequences each source gets, by largest remainder.

    Each is within one sequence of `share x tokens`, and together they are `tokens // sequence_length`.

    Source: Hamilton's method (largest remainder), which always keeps to the quota.
    """
    scale = sum(Fraction(share) for share in shares.values())
    quotas = {source: Fraction(share) / scale * tokens / sequence_length for source, share in shares.items()}
    counts = {source: math.floor(quota) for source, quota in quotas.items()}
    left = tokens // sequence_length - sum(counts.values())
    for source in sorted(quotas, key=lambda name: (counts[name] - quotas[name], name))[:left]:
        counts[source] += 1
    return counts


def permutation(documents: int, seed: int, source: str, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order of a source's documents in an epoch, shape (documents,).

    The documents are sorted by the raw output of a counter-based generator, because numpy keeps that the same in all
    its versions, which it does not promise of its own shuffling.

    Source: Philox 4x64-10, Salmon et al. (2011), SC'11; numpy NEP 19 for what stays the same.
    """
    key = int.from_bytes(hashlib.sha256(canonical_json([seed, source, epoch]).encode()).digest()[:16], "little")
    return np.argsort(np.random.Philox(key=key).random_raw(documents), kind="stable")


def shortage_report(
    allocation: Allocation,
    counts: Mapping[str, int],
    supply: Mapping[str, int],
    tokens: int,
    sequence_length: int,
    max_epochs: float,
) -> dict[str, Any] | None:
    """Return why a mixture cannot be supplied and what can, or None where it can.

    The nearest feasible allocation gives short sources all they have and keeps the ratios of the others: of all
    feasible allocations it diverges least from the one asked for. The nearest curriculum has the same stages, without
    the sources of which there is nothing, each as much shorter as the scarcest source demands.

    Args:
        allocation: What is asked for.
        counts: Source to sequences wanted.
        supply: Source to unique tokens.
        tokens: Tokens in all.
        sequence_length: Tokens a sequence.
        max_epochs: How often a source may be read.

    Returns:
        The JSON that `Infeasible` describes.
    """
    available = {source: math.floor(Fraction(max_epochs) * supply[source] / sequence_length) for source in counts}
    shortage = {
        source: {
            "wanted": count * sequence_length,
            "available": available[source] * sequence_length,
            "missing": (count - available[source]) * sequence_length,
            "supply": supply[source],
        }
        for source, count in counts.items()
        if count > available[source]
    }
    if not shortage:
        return None
    limits = {source: count * sequence_length for source, count in available.items()}
    targets = {source: amount for source, amount in allocation.targets(tokens).items() if amount > 0}
    reachable = min(tokens // sequence_length * sequence_length, sum(limits.values()))
    if allocation.stages:
        nearest = _shorter(allocation, tokens, limits, sequence_length)
    else:
        shares = {source: share for source, share in allocation.shares.items() if share > 0}
        found = _nearest(shares, limits, reachable)
        nearest = found and {"tokens": reachable, "allocation": {"shares": found}}
    return {
        "error": "the stores cannot supply this mixture; nothing was written",
        "tokens": tokens,
        "max_epochs": max_epochs,
        "shortage": shortage,
        "nearest": nearest,
        "same_shares_tokens": _scaled_tokens(targets, limits, tokens),
    }


def _scaled_tokens(targets: Mapping[str, Fraction], limits: Mapping[str, int], tokens: int) -> int:
    """Return how many tokens the targets come to in all when they are scaled to what the scarcest source has."""
    return min(tokens, *(math.floor(limits[source] * tokens / amount) for source, amount in targets.items()))


def _shorter(
    allocation: Allocation, tokens: int, limits: Mapping[str, int], sequence_length: int
) -> dict[str, Any] | None:
    parts: list[tuple[int, dict[str, float]]] = []
    for until, shares in allocation.parts(tokens):
        kept = {source: share for source, share in shares.items() if share > 0 and limits[source]}
        if not kept:
            return None
        whole = sum(kept.values())
        parts.append((until, {source: share / whole for source, share in kept.items()}))
    asked = staged([Stage(until, shares) for until, shares in parts]).targets(tokens)
    reachable = _scaled_tokens({name: one for name, one in asked.items() if one > 0}, limits, tokens)
    reachable = reachable // sequence_length * sequence_length
    while reachable:
        stages: list[Stage] = []
        for until, shares in parts:
            end = until * reachable // tokens
            if end > (stages[-1].until_tokens if stages else 0):
                stages.append(Stage(end, shares))
        found = staged(stages)
        if stages[-1].until_tokens == reachable and all(
            amount <= limits[source] for source, amount in found.targets(reachable).items()
        ):
            return {"tokens": reachable, "allocation": found.as_json()}
        reachable -= sequence_length  # ends that were rounded down moved a share
    return None


def _nearest(shares: Mapping[str, float], limits: Mapping[str, int], tokens: int) -> dict[str, float] | None:
    if tokens == 0:
        return None
    capped: dict[str, float] = {}
    free = dict(shares)
    while True:
        left = tokens - sum(capped.values())
        scale = left / sum(free.values()) if free else 0.0
        over = [source for source, share in free.items() if share * scale >= limits[source]]
        if not over:
            break
        for source in over:
            capped[source] = float(limits[source])
            del free[source]
    amounts = {source: capped.get(source, shares[source] * scale) for source in shares}
    total = sum(amounts.values())
    return {source: amount / total for source, amount in amounts.items() if amount > 0}
