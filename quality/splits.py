"""Which documents are held out for validation?

Start at `assign`. Whole units are held out, never single documents: the repository, or, in a language of fewer than
`MIN_REPOSITORIES` of them, a folder of a repository (the first level at which its documents part). Units that share a
near-duplicate family are held out together or not at all, across languages too, so that no validation text has a near
duplicate in training.

A language whose documents are all in one unit is divided by ever deeper folders, at last by family; `Split.unit` says
what was used. The choice depends on the documents and the seed alone, not on their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["train", "validation"]

MIN_REPOSITORIES = 20
"""With so many repositories, a language is split by repository; fewer are too coarse for a share of a few percent."""


@dataclass(frozen=True)
class Placed:
    """What a split needs to know of a document.

    Args:
        id: The document.
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


@dataclass(frozen=True)
class Split:
    """Who is held out.

    Args:
        side: `train` or `validation` by document id.
        unit: By language, what was held out whole: `repository`, `folder`, `deeper folder` or `family`.
    """

    side: dict[str, Side]
    unit: dict[str, str]


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


def families(ids: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the near-duplicate family of each document: all that links connect, called by its smallest id.

    Args:
        ids: All documents.
        links: Pairs of near duplicates.
    """
    groups = Groups()
    for left, right in links:
        groups.join(left, right)
    return {document: groups.find(document) for document in ids}


def assign(documents: Sequence[Placed], share: float, seed: int) -> Split:
    """Hold out about a share of each language's bytes, in whole units.

    Args:
        documents: All documents.
        share: Of each language's bytes, 0 to 1, exclusive.
        seed: Chooses among the units.

    Returns:
        Every document's side. A language of two units and more has documents on both sides.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"validation share {share!r} is not between 0 and 1")
    if not documents:
        return Split({}, {})
    levels = _levels(documents)
    while True:
        unit_of = _units(documents, levels)
        group_of = _groups(documents, unit_of)
        stuck = _undivided(documents, group_of, levels)
        if not stuck:
            break
        for language in stuck:
            levels[language] += 1
    held = _held_out(documents, group_of, share, seed)
    side: dict[str, Side] = {d.id: "validation" if group_of[d.id] in held else "train" for d in documents}
    return Split(side, {language: _LEVELS[level] for language, level in levels.items()})


_LEVELS = ("repository", "folder", "deeper folder", "family")


def _levels(documents: Sequence[Placed]) -> dict[str, int]:
    repositories: dict[str, set[str]] = {}
    for document in documents:
        repositories.setdefault(document.language, set()).add(document.repo_name)
    return {language: 0 if len(names) >= MIN_REPOSITORIES else 1 for language, names in sorted(repositories.items())}


def _units(documents: Sequence[Placed], levels: Mapping[str, int]) -> dict[str, str]:
    """Return what each document may only be held out together with, at the level of its language."""
    shared: dict[tuple[str, str], list[str]] = {}
    for document in documents:
        key = (document.language, document.repo_name)
        folder = _folder(document)
        shared[key] = _common(shared[key], folder) if key in shared else folder
    return {d.id: _unit(d, levels[d.language], len(shared[d.language, d.repo_name])) for d in documents}


def _unit(document: Placed, level: int, shared: int) -> str:
    if level == 0:
        return document.repo_name
    if level == len(_LEVELS) - 1:
        return f"{document.repo_name}\0{document.family}"
    folder = _folder(document)
    return "\0".join([document.repo_name, *(folder[: shared + 1] if level == 1 else folder)])


def _folder(document: Placed) -> list[str]:
    return document.path.split("/")[:-1]


def _common(left: list[str], right: list[str]) -> list[str]:
    both = zip(left, right, strict=False)
    return left[: next((at for at, (a, b) in enumerate(both) if a != b), min(len(left), len(right)))]


def _groups(documents: Sequence[Placed], unit_of: Mapping[str, str]) -> dict[str, str]:
    """Return the units that families tie together, called by their smallest unit, by document."""
    groups = Groups()
    first: dict[str, str] = {}
    for document in documents:
        groups.join(first.setdefault(document.family, unit_of[document.id]), unit_of[document.id])
    return {document.id: groups.find(unit_of[document.id]) for document in documents}


def _undivided(documents: Sequence[Placed], group_of: Mapping[str, str], levels: Mapping[str, int]) -> list[str]:
    groups: dict[str, set[str]] = {}
    for document in documents:
        groups.setdefault(document.language, set()).add(group_of[document.id])
    return [language for language, own in groups.items() if len(own) < 2 and levels[language] < len(_LEVELS) - 1]


def _held_out(documents: Sequence[Placed], group_of: Mapping[str, str], share: float, seed: int) -> set[str]:
    sizes: dict[str, dict[str, int]] = {}
    total: dict[str, int] = {}
    for document in documents:
        own = sizes.setdefault(group_of[document.id], {})
        own[document.language] = own.get(document.language, 0) + document.bytes
        total[document.language] = total.get(document.language, 0) + document.bytes
    held: set[str] = set()
    out = dict.fromkeys(total, 0)

    def leaves_training(group: str) -> bool:
        return all(out[language] + size < total[language] for language, size in sizes[group].items())

    def gain(group: str) -> float:
        """Return how much nearer the shares come to what was asked, summed over languages."""
        return sum(
            abs(out[language] / total[language] - share) - abs((out[language] + size) / total[language] - share)
            for language, size in sizes[group].items()
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
