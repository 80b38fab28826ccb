"""Which documents are held out for validation?

Start at `assign`. Whole units are held out, never single documents: the repository, or, in a language of fewer than
`MIN_REPOSITORIES` of them, a folder of a repository (the first level at which its documents part). Units that share a
near-duplicate family are held out together or not at all, across languages too, so that no validation text has a near
duplicate in training.

A language whose documents are all in one unit is divided by ever deeper folders, at last by family (documents without
near duplicates then by the first digits of their id); `Split.unit` says what was used. The choice depends on the
documents and the seed alone, not on their order.

What is decided on are cells, sums over documents that cannot be told apart (`Cell`), so that a corpus of any size is
split from a table of its repositories or folders; `cells_of` makes the cells of documents in memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["train", "validation"]

MIN_REPOSITORIES = 20
"""With so many repositories, a language is split by repository; fewer are too coarse for a share of a few percent."""

LEVELS = ("repository", "folder", "deeper folder", "family")
"""What is held out whole, from coarse to fine."""

BY_REPOSITORY, BY_FAMILY = 0, len(LEVELS) - 1
LONER = "~"
"""Starts the `family` of documents that have no near duplicate, where families are what is held out."""
LONER_DIGITS = 3
"""Hexadecimal digits of a loner's id that name its cell: 4,096 cells, each far below a share of a percent."""


@dataclass(frozen=True, order=True)
class Key:
    """What documents of one cell share.

    Args:
        language: Their language.
        repo_name: Their repository.
        folder: Their folder below it, with a slash at its end; empty at the root, and at the levels `repository` and
            `family`.
        family: Their near-duplicate family where several documents have it; else empty, and at the level `family`
            `LONER` with the first digits of the id.
    """

    language: str
    repo_name: str
    folder: str
    family: str


@dataclass(frozen=True)
class Cell:
    """Documents that are held out together.

    Args:
        key: What they share.
        bytes: Their size together, at least 1.
    """

    key: Key
    bytes: int


@dataclass(frozen=True)
class Placed:
    """What a split needs to know of a document in memory.

    Args:
        id: The document, hexadecimal.
        language: Its language.
        repo_name: Its repository.
        path: Below the repository, with forward slashes.
        family: Its near-duplicate family.
        bytes: Its size, at least 1.
    """

    id: str
    language: str
    repo_name: str
    path: str
    family: str
    bytes: int


Levels = Mapping[str, int]
"""By language, an index into `LEVELS`."""


@dataclass(frozen=True)
class Split:
    """Who is held out.

    Args:
        side: `train` or `validation` by cell.
        levels: By language, which level the cells have.
    """

    side: dict[Key, Side]
    levels: dict[str, int]

    @property
    def unit(self) -> dict[str, str]:
        """By language, what was held out whole: an entry of `LEVELS`."""
        return {language: LEVELS[level] for language, level in self.levels.items()}


def key_of(document: Placed, level: int, *, shared: bool) -> Key:
    """Return the cell of a document.

    Args:
        document: The document.
        level: The level of its language.
        shared: Whether its family has other documents.
    """
    folder = document.path[: document.path.rfind("/") + 1] if level not in (BY_REPOSITORY, BY_FAMILY) else ""
    loner = LONER + document.id[:LONER_DIGITS] if level == BY_FAMILY else ""
    return Key(document.language, document.repo_name, folder, document.family if shared else loner)


def cells_of(documents: Sequence[Placed]) -> Callable[[Levels], list[Cell]]:
    """Return the cells of documents in memory, at any levels."""
    members = Counter(document.family for document in documents)

    def at(levels: Levels) -> list[Cell]:
        sizes: Counter[Key] = Counter()
        for one in documents:
            sizes[key_of(one, levels[one.language], shared=members[one.family] > 1)] += one.bytes
        return [Cell(key, size) for key, size in sizes.items()]

    return at


def assign(cells_at: Callable[[Levels], Sequence[Cell]], languages: Sequence[str], share: float, seed: int) -> Split:
    """Hold out about a share of each language's bytes, in whole units.

    Args:
        cells_at: The cells of all documents at given levels; asked for again with finer levels where a language cannot
            be divided.
        languages: The languages that documents may have.
        share: Of each language's bytes, 0 to 1, exclusive.
        seed: Chooses among the units.

    Returns:
        Every cell's side. A language of two units and more has documents on both sides.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation share {share!r} is not between 0 and 1")
    levels = dict.fromkeys(sorted(languages), BY_REPOSITORY)
    cells = cells_at(levels)
    names: dict[str, set[str]] = {}
    for cell in cells:
        names.setdefault(cell.key.language, set()).add(cell.key.repo_name)
    stuck = [language for language, own in names.items() if len(own) < MIN_REPOSITORIES]
    while True:
        for language in stuck:
            levels[language] += 1
        if stuck:
            cells = cells_at(levels)
        group_of = _groups(cells, _units(cells, levels))
        stuck = _undivided(cells, group_of, levels)
        if not stuck:
            break
    held = _held_out(cells, group_of, share, seed)
    return Split({cell.key: "validation" if group_of[cell.key] in held else "train" for cell in cells}, levels)


class Groups:
    """Disjoint groups of names that grow together (union-find); a group is called by its smallest name."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the smallest name of the group."""
        root = name
        while (above := self._parent.get(root, root)) != root:
            root = above
        while name != root:
            self._parent[name], name = root, self._parent.get(name, name)
        return root

    def join(self, left: str, right: str) -> None:
        """Make two groups one."""
        left, right = sorted((self.find(left), self.find(right)))
        self._parent[right] = left


def _units(cells: Sequence[Cell], levels: Levels) -> dict[Key, str]:
    """Return what each cell may only be held out together with, at the level of its language."""
    shared: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        place, folder = (cell.key.language, cell.key.repo_name), _folder(cell.key)
        shared[place] = _common(shared[place], folder) if place in shared else folder
    return {
        cell.key: _unit(cell.key, levels[cell.key.language], len(shared[cell.key.language, cell.key.repo_name]))
        for cell in cells
    }


def _unit(key: Key, level: int, shared: int) -> str:
    if level == BY_REPOSITORY:
        return key.repo_name
    if level == BY_FAMILY:
        return f"{key.repo_name}\0{key.family}"
    folder = _folder(key)
    return "\0".join([key.repo_name, *(folder[: shared + 1] if level == 1 else folder)])


def _folder(key: Key) -> list[str]:
    return key.folder.split("/")[:-1]


def _common(left: list[str], right: list[str]) -> list[str]:
    both = zip(left, right, strict=False)
    return left[: next((at for at, (a, b) in enumerate(both) if a != b), min(len(left), len(right)))]


def _groups(cells: Sequence[Cell], unit_of: Mapping[Key, str]) -> dict[Key, str]:
    """Return the units that families tie together, called by their smallest unit, by cell."""
    groups = Groups()
    first: dict[str, str] = {}
    for cell in cells:
        family = cell.key.family
        if family and not family.startswith(LONER):
            groups.join(first.setdefault(family, unit_of[cell.key]), unit_of[cell.key])
    return {cell.key: groups.find(unit_of[cell.key]) for cell in cells}


def _undivided(cells: Sequence[Cell], group_of: Mapping[Key, str], levels: Levels) -> list[str]:
    groups: dict[str, set[str]] = {}
    for cell in cells:
        groups.setdefault(cell.key.language, set()).add(group_of[cell.key])
    return [language for language, own in sorted(groups.items()) if len(own) < 2 and levels[language] < BY_FAMILY]


def _held_out(cells: Sequence[Cell], group_of: Mapping[Key, str], share: float, seed: int) -> set[str]:
    sizes: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    for cell in cells:
        sizes.setdefault(group_of[cell.key], Counter())[cell.key.language] += cell.bytes
        total[cell.key.language] += cell.bytes
    held: set[str] = set()
    out = dict.fromkeys(total, 0)

    def leaves_training(group: str) -> bool:
        return all(out[language] + size < total[language] for language, size in sizes[group].items())

    def gain(group: str) -> float:
        """Return how much nearer the shares come to what was asked, summed over languages."""
        return sum(
            abs(out[language] / total[language] - share) - abs((out[language] + size) / total[language] - share)
            for language, size in sorted(sizes[group].items())
        )

    def hold(group: str) -> None:
        held.add(group)
        for language, size in sizes[group].items():
            out[language] += size

    drawn = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode()).digest())
    for group in drawn:
        if gain(group) > 0 and leaves_training(group):
            hold(group)
    for language in sorted(total):
        if out[language] == 0:
            fitting = [group for group in drawn if language in sizes[group] and leaves_training(group)]
            if fitting:
                hold(min(fitting, key=lambda group: sizes[group][language]))
    return held
