"""Archives and packages as sources: files under the paths that they have in the project itself.

Start at `archive_tree`. Nothing is unpacked to disk by name (`pipelines.archives`); an archive inside an archive is a
file like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pipelines import archives
from pipelines.archives import Skipped
from pipelines.sources.files import RawFile, Tree, plain
from quality.provenance import Provenance, instant

# Where Debian puts the sources of libraries: the folder below which a path means the same as in the project itself.
_DEBIAN_ROOT = re.compile(
    r"^usr/(?:share/gocode/src/|share/cargo/registry/[^/]+/|lib/python3(?:\.\d+)?/(?:dist-packages/)?"
    r"|share/nodejs/|share/javascript/)"
)


@contextmanager
def archive_tree(origins: Sequence[Path], _revision: str) -> Iterator[Tree]:
    """Open an archive."""
    with archives.opened(origins[0]) as archive:
        inside, top = _renamed(list(archive.sizes), debian=_is_deb(origins[0]))

        def read(path: str) -> Iterator[RawFile | Skipped]:
            yield plain(path, archive.read(inside[path]))

        yield Tree(
            {path: archive.sizes[old] for path, old in sorted(inside.items())},
            tuple(replace(one, path=one.path.removeprefix(top)) for one in archive.skipped),
            read,
            Provenance(revision_date=instant(archive.newest)),
        )


def _is_deb(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(8).startswith(b"!<arch>")


def _renamed(paths: Sequence[str], *, debian: bool) -> tuple[Mapping[str, str], str]:
    """Return paths as they are in the project itself, with the archive's own, and the top folder that was taken off."""
    if debian:
        renamed: dict[str, str] = {}
        for path in paths:
            short = _DEBIAN_ROOT.sub("", path)
            renamed[path if short in renamed else short] = path
        return (renamed if len(renamed) == len(paths) else {path: path for path in paths}), ""
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    if len(tops) == 1 and all("/" in path for path in paths):
        return {path.partition("/")[2]: path for path in paths}, f"{tops.pop()}/"
    return {path: path for path in paths}, ""


@contextmanager
def package_tree(origins: Sequence[Path], revision: str) -> Iterator[Tree]:
    """Open a package: one archive, or a Debian source's several, in a numbered folder each so that none hides one."""
    with ExitStack() as stack:
        trees = [stack.enter_context(archive_tree([origin], revision)) for origin in origins]
        if len(trees) == 1:
            yield trees[0]
            return

        def read(path: str) -> Iterator[RawFile | Skipped]:
            number, _, inner = path.partition("/")
            for file in trees[int(number)].read(inner):
                yield replace(file, path=path)

        dates = [tree.provenance.revision_date for tree in trees]
        yield Tree(
            {f"{number}/{path}": size for number, tree in enumerate(trees) for path, size in tree.sizes.items()},
            tuple(replace(one, path=f"{n}/{one.path}") for n, tree in enumerate(trees) for one in tree.skipped),
            read,
            Provenance(revision_date=max((date for date in dates if date is not None), default=None)),
        )
