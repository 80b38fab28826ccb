"""In which order do sources take turns, so that every prefix keeps their shares?

Start at `interleave` (one allocation) and `interleave_stages` (shares that change on the way). What always holds: after
any k turns each source has had its share of k, rounded down or up, by exact arithmetic.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from quality.mistakes import bad_input

I64 = npt.NDArray[np.int64]

_LANES = 8192
_MOST_TURNS = 3_000_000_000  # their square is a 64-bit number; at 4,096 tokens a turn they are 12T tokens


def interleave(counts: list[int]) -> npt.NDArray[np.uint16]:
    """Return one period of the order in which sources take turns.

    After any k turns each source has had its share of k, rounded down or up. Each turn goes to the source whose next
    sequence is due first (of several to the first source), among those that may have one: the n-th of a source that
    has c of T turns may be had from turn floor((n - 1) T / c) on and is due before turn ceil(n T / c).

    Turns depend on those before, but stretches of them do not wait for each other: who had how many at the border of
    two stretches follows from exact arithmetic (`_given`), and so all stretches are worked out side by side.

    Args:
        counts: Sequences by source, each at least 1.

    Returns:
        Indices into `counts`, shape (sum(counts) / gcd(counts),).

    Raises:
        BadInput: There are more turns than 64-bit numbers can tell apart.

    Source: Steiner and Yeomans (1993), Management Science 39(6), 728-735: earliest due date within the windows that
    the quotas leave always succeeds; that such an order exists is Tijdeman (1980), Discrete Mathematics 32, 323-330.
    """
    common = math.gcd(*counts)
    own = np.array([count // common for count in counts], np.int64)
    total = int(own.sum())
    if total > _MOST_TURNS:
        bad_input("sequence_length", f"{total} sequences are more than {_MOST_TURNS}; take longer ones")
    length = -(-total // min(_LANES, math.isqrt(total)))
    borders = np.arange(0, total, length)
    return _side_by_side(own, _given(own, borders), borders, length)[:total]


def _given(counts: I64, borders: I64) -> I64:
    """Return how many turns each source has had at each border, shape (borders, sources).

    At turn t a source has had floor(t c / T), or one more: the sequence that it may have had already, its current one.
    Sequences that are due first are never kept waiting by others, so how many of those due by some time were had
    before t is what a queue served once a turn lets through: t - max(0, max over s <= t of e(s) - g(s)), where g(s) is
    how many sequences might have been had before s, less s, and e(s) how many of them are current ones that are due
    later. With each current sequence in turn as the last that is due in time, the differences say which were had.

    Source: the queue is Lindley's recursion (1952), Mathematical Proceedings of the Cambridge Philosophical Society 48.
    """
    total, last = int(counts.sum()), len(borders) - 1
    certain, part = np.divmod(borders[:, None] * counts, total)
    current = part > 0
    releases = certain * total // counts
    # The least g between the release of each current sequence and each border.
    least = np.zeros((len(borders), len(counts)), np.int64)
    beyond = 0
    for at in range(last):
        begin, end = int(borders[at]), int(borders[at + 1])
        ranges = zip(-(-begin * counts // total), -(-end * counts // total), counts, strict=True)
        released = [np.arange(first, stop) * total // count - begin for first, stop, count in ranges]
        beyonds = beyond + np.cumsum(np.bincount(np.concatenate(released), minlength=end - begin) - 1)
        beyond = int(beyonds[-1])
        suffixes = np.minimum.accumulate(beyonds[::-1])[::-1]
        fresh = releases[at + 1] >= begin
        from_release = suffixes[np.where(fresh, releases[at + 1] - begin, 0) % len(suffixes)]
        least[at + 1] = np.where(fresh, from_release, np.minimum(least[at], suffixes[0]))
    dues = -(-(certain + 1) * total // counts)
    by_due = np.argsort(np.where(current, dues, total + 1), axis=1, kind="stable")
    by_release = np.argsort(releases, axis=1, kind="stable")
    later, least = np.take_along_axis(current, by_release, 1), np.take_along_axis(least, by_release, 1)
    had, found = _behind(later, least), certain.copy()
    for place in by_due.T:
        later &= by_release != place[:, None]
        now = _behind(later, least)
        found[np.arange(len(found)), place] += had - now
        had = now
    return found


def _behind(later: npt.NDArray[np.bool_], least: I64) -> I64:
    """Return how many turns before each border went to those of its current sequences that are due later, (borders,).

    Args:
        later: Which they are, by release, shape (borders, sources).
        least: The least g since the release of each, shape (borders, sources).
    """
    return np.where(later, np.cumsum(later, axis=1) - least, 0).max(axis=1, initial=0)


def _side_by_side(counts: I64, given: I64, borders: I64, length: int) -> npt.NDArray[np.uint16]:
    """Return the turns from each border on, `length` of each, end to end.

    Args:
        counts: Sequences by source.
        given: How many each source has had at each border, shape (borders, sources).
        borders: Turns.
        length: Turns from one border to the next.
    """
    sources, lanes, total = len(counts), len(borders), int(counts.sum())
    bits = max(1, (sources - 1).bit_length())
    # Of each source's next sequence, the n-th, shape (sources, lanes): n T / c rounded down, and what is left of it.
    had = np.ascontiguousarray(given.T)
    earned, left = np.divmod((had + 1) * total, counts[:, None])
    steps, rests = np.divmod(total, counts)
    releases = had * total // counts[:, None] - borders
    numbers = np.arange(sources)[:, None]
    keys = (earned + (left > 0)) << bits | numbers
    lane, flat = np.arange(lanes), (earned.reshape(-1), left.reshape(-1), releases.reshape(-1), keys.reshape(-1))
    flat_earned, flat_left, flat_releases, flat_keys = flat
    never = np.int64(np.iinfo(np.int64).max) >> bits << bits  # what is left of the last lane goes to the first source
    turns = np.empty((lanes, length), np.uint16)
    for turn in range(length):
        source = np.where(releases <= turn, keys, never).min(axis=0) & ((1 << bits) - 1)
        turns[:, turn] = source
        place = source * lanes + lane
        done = flat_earned[place]
        rest = flat_left[place] + rests[source]
        carry = rest >= counts[source]
        rest -= carry * counts[source]
        now = done + steps[source] + carry
        flat_earned[place], flat_left[place] = now, rest
        flat_releases[place] = done - borders
        flat_keys[place] = (now + (rest > 0)) << bits | source
    return turns.reshape(-1)


def interleave_stages(stages: Sequence[tuple[Fraction, Sequence[Fraction]]]) -> npt.NDArray[np.uint16]:
    """Return the order in which sources take turns where their shares change on the way.

    After any k turns each source has had what the stages gave it up to there, rounded down or up. As in `interleave`,
    the n-th sequence of a source may be given once the source has earned more than n - 1, and is due when it has
    earned n.

    Args:
        stages: After how many turns each stage ends, rising (the last a whole number), and the share of each source in
            it, together 1.

    Returns:
        Indices of sources, shape (turns,).

    Source: Tijdeman (1980), Discrete Mathematics 32, 323-330, whose weights may differ from turn to turn.
    """
    total = int(stages[-1][0])
    # By source and stage: what was earned by its end, rounded down and up; and whole numbers c, d, r such that an
    # amount is earned after (c + d x amount) / r turns.
    lines: list[list[tuple[int, int, int, int, int]]] = []
    for source in range(len(stages[0][1])):
        begun, earned = Fraction(0), Fraction(0)
        own: list[tuple[int, int, int, int, int]] = []
        for end, shares in stages:
            rate = shares[source]
            earned += (end - begun) * rate
            begun = end
            if rate:
                offset = end * rate - earned
                common = math.lcm(offset.denominator, rate.denominator)
                own.append((math.floor(earned), math.ceil(earned), int(offset * common), common, int(rate * common)))
        lines.append(own)

    def after(source: int, amount: int) -> int:
        """Return after how many turns a source has earned more than an amount."""
        return next((((c + d * amount) // r) + 1 for _, up, c, d, r in lines[source] if up > amount), total + 1)

    def due(source: int, amount: int) -> int:
        """Return after how many turns a source has earned an amount."""
        return next((-(-(c + d * amount) // r) for down, _, c, d, r in lines[source] if down >= amount), total + 1)

    turns = np.empty(total, np.uint16)
    given = [0] * len(lines)
    ready: list[tuple[int, int]] = []
    waiting = [(after(source, 0), source) for source in range(len(lines))]
    heapq.heapify(waiting)
    for turn in range(total):
        while waiting and waiting[0][0] <= turn + 1:
            source = heapq.heappop(waiting)[1]
            heapq.heappush(ready, (due(source, given[source] + 1), source))
        source = heapq.heappop(ready)[1]
        turns[turn] = source
        given[source] += 1
        heapq.heappush(waiting, (after(source, given[source]), source))
    return turns
