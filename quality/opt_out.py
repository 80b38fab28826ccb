"""Which repositories, owners and files are left out because someone asked for it?

Start at `OptOut.read` or `OptOut.parse`, then ask `OptOut.reason` of each file. A list is text, one entry a line; `#`
starts a comment:

    octocat/hello-world         a repository, as `git:octocat/hello-world` or `octocat/hello-world` name it
    https://host/octocat/hello  the same, by its address; hosts, and groups around an owner, count in no entry
    git:hello                   a repository that was read from a folder, and so has no owner
    octocat/                    all repositories of an owner (also `octocat/*`)
    pypi:pydash                 a package
    npm:@scope/                 all packages of a scope
    octocat/hello:docs/**       files of a repository; `*` stays within a folder, `**` does not
    pypi:pydash:**/vendored.py  files of a package

Owners, repositories and packages are compared without regard to case, as hosts and registries do (PyPI also takes `-`,
`_` and `.` for one); paths are compared as they are written. A list is known by its `digest`, which depends on its
entries only: not on comments, order, repeats, or where it was read from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quality.mistakes import BadInput, Mistake, bad_input

_REGISTRIES = ("pypi", "npm", "deb", "deb-src")
_NAME = re.compile(r"[\w.~+@-]+", re.ASCII)
_SHOWN = 100
_REGISTRY_HOSTS = {"pypi.org": "pypi:", "www.npmjs.com": "npm:", "npmjs.com": "npm:"}


@dataclass(frozen=True)
class OptOut:
    """A list of what is left out; can be pickled.

    Args:
        entries: The entries in their normal form, sorted; two lists with the same entries are equal.
    """

    entries: tuple[str, ...] = ()
    _lines: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)
    _globs: Mapping[str, tuple[tuple[str, re.Pattern[str]], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, re.Pattern[str]], ...]], repr=False, compare=False
    )

    @classmethod
    def read(cls, path: Path) -> OptOut:
        """Read a list from a file.

        Args:
            path: UTF-8 text.

        Raises:
            BadInput: It cannot be read, or has wrong lines; all are listed.
        """
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            bad_input(path, f"cannot be read: {error}")
        return cls.parse(text.splitlines(), str(path))

    @classmethod
    def parse(cls, lines: Iterable[str], where: str = "opt-out list") -> OptOut:
        """Read a list from lines.

        Args:
            lines: The lines.
            where: What mistakes call the list.

        Raises:
            BadInput: Lines that are no entries; all are listed, each with its number.
        """
        first: dict[str, str] = {}
        globs: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        mistakes: list[Mistake] = []
        for number, line in enumerate(lines, 1):
            entry = re.sub(r"(?:^|\s)#.*", "", line).strip()
            if not entry:
                continue
            try:
                unit, glob = _taken_apart(entry)
            except ValueError as error:
                mistakes.append(Mistake(f"{where}: line {number}", f"{entry!r}: {error}"))
                continue
            normal = f"{unit}:{glob}" if glob else unit
            if normal in first:
                continue
            first[normal] = f"line {number}: {entry}"
            if glob:
                globs.setdefault(unit, []).append((first[normal], _pattern(glob)))
        if mistakes:
            shown = mistakes[:_SHOWN]
            if len(mistakes) > _SHOWN:
                shown.append(Mistake(where, f"and {len(mistakes) - _SHOWN:,} more wrong lines"))
            raise BadInput(shown)
        return cls(
            tuple(sorted(first)),
            first,
            {unit: tuple(sorted(known, key=lambda one: one[0])) for unit, known in globs.items()},
        )

    @property
    def digest(self) -> str:
        """The list's identity, 64 hex digits; empty for an empty list."""
        return hashlib.sha256("\n".join(self.entries).encode()).hexdigest() if self.entries else ""

    def reason(self, repo_name: str, path: str) -> str | None:
        """Return the line of the list that leaves a file out, or None.

        Args:
            repo_name: As `quality.documents` has it: `git:owner/name`, `owner/name`, `pypi:name`, ...
            path: Below the repository's root, with forward slashes.
        """
        unit = _unit(repo_name)
        owner = f"{unit.rpartition('/')[0]}/"
        for whole in (unit, owner):
            if whole in self._lines:
                return self._lines[whole]
        return next((line for line, pattern in self._globs.get(unit, ()) if pattern.match(path)), None)

    def unmatched(self, repo_names: Iterable[str]) -> tuple[str, ...]:
        """Return the entries whose repository, owner or package is none of those named; paths are not looked at."""
        units = {_unit(name) for name in repo_names if name}
        owners = {f"{unit.rpartition('/')[0]}/" for unit in units}
        return tuple(entry for entry in self.entries if _unit_of(entry) not in units and _unit_of(entry) not in owners)


def _unit_of(entry: str) -> str:
    package = entry.split(":", 1)[0] in _REGISTRIES
    parts = entry.split(":")
    return ":".join(parts[: 2 if package else 1])


def _unit(repo_name: str) -> str:
    """Return the normal form of a repository's or package's name: that of the entries that leave out all of it."""
    name = repo_name.strip().lower()
    prefix, colon, rest = name.partition(":")
    if colon and prefix in _REGISTRIES:
        if prefix == "pypi":
            # Source: PEP 503, "Normalized Names".
            rest = re.sub(r"[-_.]+", "-", rest)
        # A project's Debian sources and what is built from them are one project.
        return f"{'deb' if prefix == 'deb-src' else prefix}:{rest}"
    name = name.removeprefix("git:").removeprefix("git+")
    name = re.sub(r"^(?:[a-z+]+://(?:[^/@]*@)?[^/]+/|[\w.-]+@[\w.-]+:)", "", name)
    # Of groups within groups, a name has the last two parts (`pipelines.sources`).
    return "/".join(name.removesuffix("/").removesuffix(".git").removesuffix("/").split("/")[-2:])


def _taken_apart(entry: str) -> tuple[str, str]:
    """Return the unit of an entry in its normal form (an owner's ends in `/`) and its glob, or "" for all files.

    Raises:
        ValueError: It is no entry; the message says why.
    """
    prefix, colon, rest = entry.partition(":")
    package = colon and prefix.lower() in _REGISTRIES
    address = re.match(r"(?:git\+)?[a-z]+://(?:[^/@]*@)?[^/]+/|(?:git\+)?[\w.-]+@[\w.-]+:", entry, re.IGNORECASE)
    if address:
        host = re.sub(r".*[/@]", "", address[0].rstrip("/:")).lower()
        if host in _REGISTRY_HOSTS:
            raise ValueError(f"is a package's page; write {_REGISTRY_HOSTS[host]}NAME")
        entry = entry[address.end() :]
        inside = re.search(r"/(?:-/)?(?:tree|blob|raw|issues|pull|wiki|releases|commits?|-)(?:/|$)", entry)
        if inside:
            raise ValueError(
                f"is a page within a repository; write {entry[: inside.start()]} for all of it, "
                f"or {entry[: inside.start()]}:GLOB for paths"
            )
    elif colon and prefix.lower() == "git":
        entry = rest
    name, colon, glob = (rest if package else entry).partition(":")
    name, glob = name.strip(), glob.strip()
    if colon and not glob:
        raise ValueError("nothing after the colon; give a glob of paths, or leave the colon out")
    owner = name.endswith(("/", "/*")) and not address
    parts = name.removesuffix("*").strip("/").split("/")
    if re.search(r"=|.@", name):
        raise ValueError("names a version or a branch, which are not told apart; leave it out, and all of it is meant")
    if re.search(r"[\[\]{}]", glob) or glob.startswith("./"):
        raise ValueError("a glob has `*`, `**` and `?` only, and starts at the repository's root, without `./`")
    if not package and name.startswith("@"):
        raise ValueError(f"looks like a package; write npm:{name}")
    for part in parts:
        if not _NAME.fullmatch(part):
            wanted = "NAME" if package else "OWNER/NAME"
            raise ValueError(
                f"{part!r} is no name; an entry is {wanted}, OWNER/ or {wanted}:GLOB, and only paths may hold `*`"
            )
    if owner and glob:
        raise ValueError("a glob needs one repository; write OWNER/NAME:GLOB")
    if package:
        if owner and not parts[0].startswith("@"):
            raise ValueError("packages have no owner; only npm's scopes (npm:@scope/) are taken as one")
        unit = _unit(f"{prefix}:{'/'.join(parts)}")
        return (f"{unit}/" if owner else unit), glob
    if owner:
        return f"{parts[-1].lower()}/", ""
    if len(parts) < 2 and prefix.lower() != "git":
        known = ", ".join(f"{registry}:{name}" for registry in _REGISTRIES[:2])
        raise ValueError(
            f"names no owner; write {name}/ for all of an owner, OWNER/{name} for a repository, or {known}"
        )
    return _unit("/".join(parts)), glob


def _pattern(glob: str) -> re.Pattern[str]:
    """Return what a glob matches: `*` and `?` stay within a folder, `**` does not; a folder is all below it."""
    glob = glob.removeprefix("/")
    below = "" if glob.endswith("*") else ".*" if glob.endswith("/") else "(?:/.*)?"
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(known.get(piece) or re.escape(piece) for piece in pieces) + below + r"\Z", re.DOTALL)
