"""Which two units meet by their clues, and which of those are tried beside what the index of words gives?

Start at `meetings` (which units meet, in which channel, over how many keys) and `added` (which of them to try). Both
are pure functions of the units between two languages; `pipelines.spark_candidates` follows the same rules.

What always holds: a key that many units of a language answer to, or ask for, means nothing and is dropped, so no key
brings more than the product of two such limits; each channel adds a few candidates a unit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from parallel_mining.clues import Clues

INDEX = "index"
"""The channel of what the index of words gives."""


@dataclass(frozen=True)
class Channel:
    """When two units meet in a channel.

    Args:
        most_units: How many units of one language may have a key, on either side.
        least_keys: How many keys two units must share.
    """

    most_units: int
    least_keys: int


CHANNELS: dict[str, Channel] = {
    "port": Channel(most_units=1000, least_keys=1),  # a note may name a whole package
    "stem": Channel(most_units=150, least_keys=1),  # a file, or a few
    # One literal is shared by chance, two seldom are.
    "vectors": Channel(most_units=8, least_keys=2),
}

Meeting = tuple[int, int, str]
"""The numbers of a left and a right unit, and a channel."""


def channel_of(key: str) -> str:
    """Return the channel of a key."""
    return key.partition(":")[0]


def joined_channels(names: Iterable[str]) -> str:
    """Return channels as a candidate states them: sorted, joined by a plus sign."""
    return "+".join(sorted(names))


def meetings(left: Sequence[Clues], right: Sequence[Clues]) -> dict[Meeting, int]:
    """Return which units of two languages meet, and how many keys they share in the channel.

    Args:
        left: The clues of the units of one language.
        right: Those of the other.
    """
    shared: dict[Meeting, set[str]] = {}
    for asking, answering, turned in ((left, right, False), (right, left, True)):
        asks = _holders(clues.asks for clues in asking)
        answers = _holders(clues.answers for clues in answering)
        for key in asks.keys() & answers.keys():
            channel = channel_of(key)
            for one in asks[key]:
                for other in answers[key]:
                    meeting = (other, one, channel) if turned else (one, other, channel)
                    shared.setdefault(meeting, set()).add(key)
    return {meeting: len(keys) for meeting, keys in shared.items() if len(keys) >= CHANNELS[meeting[2]].least_keys}


def _holders(keys: Iterable[Sequence[str]]) -> dict[str, list[int]]:
    """Return the numbers of those that hold each key, of keys that few hold."""
    found: dict[str, list[int]] = {}
    for number, own in enumerate(keys):
        for key in own:
            found.setdefault(key, []).append(number)
    return {key: held for key, held in found.items() if len(held) <= CHANNELS[channel_of(key)].most_units}


def added(
    met: Mapping[Meeting, int],
    totals: Mapping[tuple[int, int], int],
    given: Collection[tuple[int, int]],
    per_unit: int,
) -> set[tuple[int, int]]:
    """Return the pairs to try of those that meet, beside those that the index gives.

    A unit that the index gives one of those that it meets in a channel needs no more from the channel. Of the others a
    left unit proposes itself to the `per_unit` right ones with which it shares the most keys, then words; each of those
    keeps the `per_unit` best that did. Units without a common word are never tried.

    Args:
        met: Which units meet, of those that may be called alike.
        totals: Their sums of products of weighted words.
        given: What the index gives.
        per_unit: How many a unit has at most in a channel.
    """
    chosen: set[tuple[int, int]] = set()
    for channel in CHANNELS:
        all_met = [(one, other, keys) for (one, other, name), keys in met.items() if name == channel]
        served = [{meeting[side] for meeting in all_met if meeting[:2] in given} for side in (0, 1)]
        own = [m for m in all_met if m[0] not in served[0] and m[1] not in served[1] and totals[m[0], m[1]] > 0]
        for side in (0, 1):
            ranked = sorted(own, key=lambda m: (-m[2], -totals[m[0], m[1]], m[1 - side]))
            taken: dict[int, int] = {}
            kept: list[tuple[int, int, int]] = []
            for meeting in ranked:
                taken[meeting[side]] = taken.get(meeting[side], 0) + 1
                if taken[meeting[side]] <= per_unit:
                    kept.append(meeting)
            own = kept
        chosen |= {(one, other) for one, other, _ in own}
    return chosen


__all__ = ["CHANNELS", "INDEX", "Channel", "added", "channel_of", "joined_channels", "meetings"]
