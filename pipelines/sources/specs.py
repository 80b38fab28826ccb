"""What a source is called: one line that names where the code is, and what to take of it.

Start at `Source` (an entry of a study) and `parse_spec`. Specs are listed in the package's docstring.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pipelines import archives
from pipelines.sources.folders import walk
from quality.mistakes import bad_input

Kind = Literal["folder", "git", "archive", "jsonl", "parquet", "pypi", "npm", "deb", "deb-src"]
TableKind = Literal["jsonl", "parquet"]


class Source(BaseModel):
    """One `[[sources]]` entry of a study.

    Args:
        spec: Where the code is; see the package's docstring.
        name: What the source is called everywhere else; taken from the spec when empty.
        sha256: The checksum the source must have: of its file, or of the files chosen from it (the digest that
            `SourceRecord` describes for folders). With the latter a Debian package may be one that an update replaced
            by another version, as long as the chosen files are the same. Empty for none.
        include: Globs of paths to read; all when empty. `*` stays within a folder, `**` does not, a pattern without
            `/` matches file names in any folder.
        exclude: Globs of paths to leave out.
        license: SPDX expression used where the source states no licence that can be recognised (a table's row that
            names one keeps what it names).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    spec: str = Field(min_length=1)
    name: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    include: tuple[str, ...] = Field(default=(), strict=False)
    exclude: tuple[str, ...] = Field(default=(), strict=False)
    license: str = ""

    @property
    def label(self) -> str:
        """The source's name, taken from its spec where none is given."""
        return self.name or parse_spec(self.spec).name

    def chooses(self, paths: Iterable[str]) -> list[str]:
        """Return the paths that include and exclude leave, in their order."""
        include = [_glob(pattern) for pattern in self.include]
        exclude = [_glob(pattern) for pattern in self.exclude]
        return [
            path
            for path in paths
            if (not include or any(p.match(path) for p in include)) and not any(p.match(path) for p in exclude)
        ]


@dataclass(frozen=True)
class Spec:
    """A spec, taken apart.

    Args:
        kind: What it names.
        target: A path, an address or a package name.
        version: A package version or git revision; empty where none is named.
        name: What the source is called unless it has a name of its own.
    """

    kind: Kind
    target: str
    version: str
    name: str


PACKAGE_FORMS = {
    "pypi": (re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)$"), "pypi:NAME==VERSION"),
    "npm": (
        re.compile(r"^((?:@[a-z0-9~_.-]+/)?[A-Za-z0-9~_-][A-Za-z0-9~_.-]*)@([0-9][A-Za-z0-9.+-]*)$"),
        "npm:NAME@VERSION",
    ),
    "deb": (re.compile(r"^([a-z0-9][a-z0-9+.-]+)(?:=([A-Za-z0-9.+:~-]+))?$"), "deb:NAME=VERSION"),
    "deb-src": (re.compile(r"^([a-z0-9][a-z0-9+.-]+)(?:=([A-Za-z0-9.+:~-]+))?$"), "deb-src:NAME=VERSION"),
}
JSONL_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".json.gz", ".jsonl.zst")

# File systems that Spark reads and this machine does not mount.
_REMOTE = re.compile(r"^(s3|s3a|s3n|hdfs|viewfs|webhdfs|swebhdfs|gs|abfs|abfss|wasb|wasbs|oss|cosn|dbfs|o3fs|ofs)://")


def is_remote_table(spec: str) -> bool:
    """Return whether a spec names a table that only Spark reads, such as `s3a://bucket/stack/*.parquet`."""
    return _REMOTE.match(spec) is not None


def table_kind(spec: str) -> TableKind:
    """Return how a table is written by its ending; a folder without one is a dataset of Parquet."""
    return "jsonl" if spec.rstrip("/").lower().endswith(JSONL_ENDINGS) else "parquet"


def parse_spec(spec: str) -> Spec:  # noqa: RET503 (`bad_input` does not return)
    """Take a spec apart; whether a path is a folder, a repository or a file is looked up.

    Raises:
        BadInput: It has no known form, or names a path that is not there.
    """
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in PACKAGE_FORMS:
        pattern, form = PACKAGE_FORMS[prefix]
        found = pattern.match(rest)
        if not found:
            bad_input(spec, f"not of the form {form}; the version must be an exact one")
        return Spec(cast(Kind, prefix), found.group(1), found.group(2) or "", f"{prefix}:{found.group(1)}")
    if spec.startswith("git+"):
        return _git_spec(spec)
    if prefix == "folder" and colon:
        return _folder_spec(rest, spec)
    if is_remote_table(spec):
        named = [part for part in spec.split("/") if part and not set(part) & set("*?[{")]
        return Spec(table_kind(spec), spec, "", re.sub(r"\.(parquet|jsonl|ndjson|json)(\.\w+)?$", "", named[-1]))
    if "://" in spec and not spec.startswith("file://"):
        bad_input(
            spec,
            "an address is read only as git+URL@REVISION, or as a table on s3a://, hdfs:// and the like;"
            " download an archive and name its path",
        )
    path = Path(spec.removeprefix("file://")).expanduser()
    if path.is_dir():
        if (path / ".git").exists() or _is_bare_repository(path):
            return Spec("git", str(path), "", _git_name(str(path.resolve())))
        return _folder_spec(str(path), spec)
    if not path.exists():
        known = ", ".join(f"{name}:" for name in PACKAGE_FORMS)
        bad_input(spec, f"no such file or folder (and it starts with none of {known}, git+)")
    if not path.is_file():
        bad_input(spec, "neither a file nor a folder (a pipe, a socket or a device)")
    if path.suffix.lower() == ".parquet":
        return Spec("parquet", str(path), "", path.stem)
    if path.name.lower().endswith(JSONL_ENDINGS):
        return Spec("jsonl", str(path), "", path.name.partition(".json")[0].removesuffix(".ndjson"))
    if archives.is_archive(path):
        ending = max((e for e in archives.ENDINGS if path.name.lower().endswith(e)), key=len)
        return Spec("archive", str(path), "", path.name[: -len(ending)] or path.name)
    bad_input(
        spec,
        f"{path.suffix or 'no ending'!r}: not a kind of file that sources come in;"
        f" known: {' '.join(archives.ENDINGS)} .jsonl .ndjson .parquet, or give its folder",
    )


def _folder_spec(target: str, spec: str) -> Spec:
    path = Path(target).expanduser()
    if not path.is_dir():
        bad_input(spec, "no such folder")
    name = path.resolve().name or "root"
    kind: TableKind | None = None
    for one in walk(path):
        file_name = one.path.rpartition("/")[2]
        if one.problem or file_name.startswith((".", "_")):
            continue
        known = file_name.lower().endswith((".parquet", *JSONL_ENDINGS))
        if not known or kind not in (None, table_kind(file_name)):
            return Spec("folder", str(path), "", name)
        kind = table_kind(file_name)
    return Spec(kind or "folder", str(path), "", name)


def tables_in(origins: Sequence[Path], endings: Sequence[str]) -> dict[str, Path]:
    """Return a dataset's files by their path in it, sorted; those that start with `.` or `_` are no data."""
    root = origins[0]
    if root.is_file():
        return {root.name: root}
    found = [one.path for one in walk(root) if not one.problem]
    named = [path for path in found if not path.rpartition("/")[2].startswith((".", "_"))]
    return {path: root / path for path in sorted(named) if path.lower().endswith(tuple(endings))}


def _is_bare_repository(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _git_spec(spec: str) -> Spec:
    rest = spec.removeprefix("git+")
    # An @ before the path belongs to a login (https://me@host/..., git@host:...), not to a revision.
    before = re.match(r"^(?:[\w+.-]+://[^/]*/?|[\w.-]+@[\w.-]+:)?", rest)
    start = before.end() if before else 0
    path, _, revision = rest[start:].rpartition("@") if "@" in rest[start:] else (rest[start:], "", "")
    where = rest[:start] + path
    if not path or where.startswith("-") or revision.startswith("-"):
        bad_input(spec, "not of the form git+URL@REVISION")
    where = where.removeprefix("file://")
    if "://" not in where and not re.match(r"^[\w.-]+@[\w.-]+:", where):
        folder = Path(where).expanduser()
        if not folder.is_dir():
            bad_input(spec, "no such git repository")
        return Spec("git", str(folder), revision, _git_name(str(folder.resolve())))
    return Spec("git", where, revision, _git_name(where))


def _git_name(where: str) -> str:
    local = where.startswith("/")
    parts = [part for part in re.split(r"[/:]", where.removesuffix("/").removesuffix(".git").removesuffix("/")) if part]
    return "git:" + "/".join(parts[-1:] if local else parts[-2:])


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    if "/" not in pattern.rstrip("/"):
        pattern = f"**/{pattern}"
    pattern = pattern.lstrip("/")
    if pattern.endswith("/"):
        pattern += "**"
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif pattern[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif pattern[at] == "?":
            out, at = out + "[^/]", at + 1
        elif pattern[at] == "[" and (close := pattern.find("]", at + 2 + (pattern[at + 1 : at + 2] in ("!", "^")))) > 0:
            inside = re.sub(r"([\\\[\]])", r"\\\1", pattern[at + 1 : close])
            out, at = out + "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]", close + 1
        else:
            out, at = out + re.escape(pattern[at]), at + 1
    try:
        return re.compile(out + r"\Z", re.DOTALL)
    except re.error as error:
        bad_input(pattern, f"no glob that can be read ({error})")
