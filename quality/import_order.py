"""In which order are the files of a repository read, so that what a file uses comes before it?

Start at `import_order`. Import statements of all languages are read by one set of patterns, since they look alike: a
keyword, and a name or a path whose parts are those of a file or folder. No language is named here; a statement that
names no file of the repository is passed over, and files that import each other go by their names.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence

_STATEMENTS = (
    # import a.b.C; use crate::a::b; using A.B; mod a; #include "a.h"
    re.compile(r"^[ \t]*(?:pub\s+)?(?:import|use|using|mod|include)[ \t]+(?:static[ \t]+)?([\w$.:/@-]+)", re.MULTILINE),
    # import {a} from './b', export * from "./b", on one line or several
    re.compile(r"\bfrom\s*['\"]([^'\"\n]+)['\"]"),
    # require('./a'), import('./a'), import "a/b"
    re.compile(r"\b(?:require|import)\s*\(?\s*['\"]([^'\"\n]+)['\"]"),
)
# from a.b import c, d
_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+\(?([\w, \t*]*)", re.MULTILINE)
# import ("a/b"; "c/d"), a line each
_BLOCK = re.compile(r"^import[ \t]*\(([^)]*)\)", re.MULTILINE)
_QUOTED = re.compile(r"\"([^\"\n]+)\"")
# Files that stand for the folder they are in.
_OF_FOLDER = {"__init__", "index", "mod", "lib", "main"}
_UP = {"super": 1, "self": 0, "crate": 0}
_LONGEST = 5  # parts of a path that are looked up


def import_order(files: Sequence[tuple[str, str]]) -> list[int]:
    """Return the order in which files are read.

    Args:
        files: Path and text of each file of one repository, in one language.

    Returns:
        Indices of files: each after the files it imports, as far as they do not import each other.

    Source: Guo et al. (2024), DeepSeek-Coder, arXiv 2401.14196, algorithm 1: next is always a file with the fewest
    imports that have not come yet. Ties go by path here.
    """
    keys = [_key(path) for path, _ in files]
    known: dict[tuple[str, ...], list[int]] = {}
    for index, key in enumerate(keys):
        for start in range(max(0, len(key) - _LONGEST), len(key)):
            known.setdefault(key[start:], []).append(index)
        folder = key[:-1]
        for start in range(max(0, len(folder) - _LONGEST), len(folder)):
            known.setdefault((*folder[start:], ""), []).append(index)
    wanted: list[set[int]] = []
    for index, (path, text) in enumerate(files):
        found = {one for name in _names(text) for one in _resolved(name, path, known, keys)}
        wanted.append(found - {index})
    users: list[list[int]] = [[] for _ in files]
    for index, own in enumerate(wanted):
        for other in own:
            users[other].append(index)
    left = [len(own) for own in wanted]
    heap = [(left[index], path, index) for index, (path, _) in enumerate(files)]
    heapq.heapify(heap)
    done = [False] * len(files)
    order: list[int] = []
    while heap:
        count, _, index = heapq.heappop(heap)
        if done[index] or count != left[index]:
            continue
        done[index] = True
        order.append(index)
        for user in users[index]:
            if not done[user]:
                left[user] -= 1
                heapq.heappush(heap, (left[user], files[user][0], user))
    return order


def _key(path: str) -> tuple[str, ...]:
    """Return the parts of a path without its ending; those of its folder where the file stands for that."""
    *folder, name = path.split("/")
    stem = name.split(".")[0]
    return tuple(folder) if stem in _OF_FOLDER and folder else (*folder, stem)


def _names(text: str) -> Iterator[str]:
    for pattern in _STATEMENTS:
        yield from pattern.findall(text)
    for module, names in _FROM.findall(text):
        yield module
        yield from (
            f"{module}{'' if module.endswith('.') else '.'}{name.split()[0]}"
            for name in names.split(",")
            if name.strip()
        )
    for block in _BLOCK.findall(text):
        yield from _QUOTED.findall(block)


def _resolved(
    name: str, path: str, known: Mapping[tuple[str, ...], Sequence[int]], keys: Sequence[tuple[str, ...]]
) -> Sequence[int]:
    """Return the files that a name means: those whose paths end as it does, or as it does without its last part."""
    folder = tuple(path.split("/")[:-1])
    if name.startswith("."):
        dots = len(name) - len(name.lstrip("."))
        # `./a` and `.a` are beside the file; each further `../` or dot is a folder up.
        ups = name.count("../") if "/" in name else dots - 1
        parts = tuple(part for part in re.split(r"[./\\]+", name) if part)
        base = folder[: len(folder) - ups] if ups <= len(folder) else ()
        for length in (len(parts), len(parts) - 1):
            # A script's ending may stand in the name.
            target = (*base, *parts[:length])
            exact = [index for index in known.get(target[-_LONGEST:], ()) if keys[index] == target]
            if exact:
                return exact
        return ()
    parts = tuple(part for part in re.split(r"[.:/\\]+", name) if part and part not in _UP)
    for length in (len(parts), len(parts) - 1):
        for start in range(max(0, length - _LONGEST), length):
            own = parts[start:length]
            found = known.get(own) or (known.get((*own, "")) if length - start > 1 or "/" in name else None)
            if found and len(own) == 1:
                # One word is the name of too many things: only a file beside this one, or at the root, is meant.
                found = [index for index in found if keys[index][:-1] in (folder, ())]
            if found:
                return found
    return ()
