"""Where a file was found and when, beyond its repository and path: the columns of The Stack v2, null where unknown.

Start at `Provenance`; `PROVENANCE_FIELDS` is the same as Arrow fields. Dates are instants in UTC (`timestamp[us, UTC]`
in Arrow; `datetime` with a zone in Python); a date without a zone is taken as UTC. Nothing here depends on the time,
the machine or the mirror that a source came from: what neither a source's own bytes nor its repository says is null.

Source: dataset card of The Stack v2, "Data fields" (names and meanings).
"""

from __future__ import annotations

import json
import re
import tomllib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from typing import Any, cast

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")

PROVENANCE_FIELDS: tuple[pa.Field[Any], ...] = (
    pa.field("repo_url", pa.string()),  # without credentials
    pa.field("snapshot_id", pa.string()),
    pa.field("branch_name", pa.string()),  # as git has it: `refs/heads/main`
    pa.field("visit_date", INSTANT),  # when the repository was crawled
    pa.field("revision_date", INSTANT),  # when the revision was authored; of an archive: its newest file's time
    pa.field("committer_date", INSTANT),
    pa.field("star_events_count", pa.int64()),
    pa.field("fork_events_count", pa.int64()),
    pa.field("gha_license_id", pa.string()),  # the repository's licence as its host states it
)

# Dates outside are mistakes or placeholders: version control is no older, and archives made reproducible say 1980
# (zip's zero), 1985 (npm) or 1970 (tar's zero).
_EARLIEST = datetime(1986, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Provenance:
    """The Stack v2's columns of one file (see `PROVENANCE_FIELDS`); None is unknown, never zero.

    Args:
        repo_url: Address of the repository, without credentials.
        snapshot_id: The archive's id of the repository's state.
        branch_name: The branch, as git names it.
        visit_date: When the repository was crawled.
        revision_date: When the revision was authored; of an archive, the newest time stamped on a file in it.
        committer_date: When the revision was committed.
        star_events_count: Stars.
        fork_events_count: Forks.
        gha_license_id: The repository's licence as its host states it.
    """

    repo_url: str | None = None
    snapshot_id: str | None = None
    branch_name: str | None = None
    visit_date: datetime | None = None
    revision_date: datetime | None = None
    committer_date: datetime | None = None
    star_events_count: int | None = None
    fork_events_count: int | None = None
    gha_license_id: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the values by column, for a table with `PROVENANCE_FIELDS`."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def stated(self) -> dict[str, str | int]:
        """Return what is known, dates as ISO 8601, for a manifest's identity."""
        known = {name: value for name, value in self.row().items() if value is not None}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}


def instant(value: Any) -> datetime | None:
    """Return a date in UTC, or None for what is none or cannot be true.

    Args:
        value: A datetime or date, an ISO 8601 text, or a number since 1970 in seconds, milliseconds, microseconds or
            nanoseconds (told apart by its size: each unit's years 1986 to 2100 lie apart).
    """
    found: datetime | None = None
    try:
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, date):
            found = datetime(value.year, value.month, value.day)
        elif isinstance(value, str) and value.strip():
            found = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            scale = next((power for power in (0, 3, 6, 9) if abs(value) < 10 ** (11 + power)), None)
            found = None if scale is None else _EPOCH + timedelta(microseconds=int(value * 10 ** (6 - scale)))
        if found is None:
            return None
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if _EARLIEST <= found < _LATEST else None


def count(value: Any) -> int | None:
    """Return a count (an int, a whole float, or digits), or None for what is none."""
    try:
        number = int(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1 << 63 else None


def web_address(address: Any) -> str | None:
    """Return a repository's address without login, query and fragment, or None for a path or anything else.

    Args:
        address: As git, npm and Core Metadata write it: `git+https://host/o/n.git`, `git@host:o/n.git`, `ssh://...`.
    """
    if not isinstance(address, str) or len(address) > 2000 or not address.isprintable() or " " in address.strip():
        return None
    address = address.strip().removeprefix("git+")
    if short := re.fullmatch(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)([\w.~/-]+)", address):
        address = f"ssh://{short[1]}/{short[2]}"
    try:
        parts = urllib.parse.urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname:
        return None
    path = parts.path.removesuffix("/").removesuffix(".git")
    return f"{parts.scheme}://{parts.hostname}{port}{path}"


_PACKAGE_FILES = re.compile(r"^(?:package\.json|Cargo\.toml|pyproject\.toml|PKG-INFO|[^/]+\.dist-info/METADATA)$")
# Names that projects give the address of their code. Source: PyPA, "Well-known labels in Project-URL", label Source.
_SOURCE_LABELS = ("source", "repository", "sourcecode", "github", "code", "homepage")


def states_address(path: str) -> bool:
    """Return whether a file is a package's own metadata, which may say where its repository is."""
    return _PACKAGE_FILES.match(path) is not None


def address_in(path: str, data: bytes) -> str | None:
    """Return the repository's address that a package's metadata file states, or None.

    Args:
        path: One that `states_address`.
        data: Its bytes.
    """
    try:
        stated = _labelled_addresses(path.rpartition("/")[2], data)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    labelled = {re.sub(r"[^a-z]", "", label.lower()): address for label, address in stated.items()}
    found = (web_address(labelled.get(label)) for label in _SOURCE_LABELS)
    return next((address for address in found if address), None)


def _labelled_addresses(name: str, data: bytes) -> Mapping[str, Any]:
    if name == "package.json":
        repository: Any = json.loads(data).get("repository")
        address = cast(Any, repository).get("url") if isinstance(repository, dict) else repository
        return {"repository": address}
    if name == "Cargo.toml":
        return {"repository": tomllib.loads(data.decode()).get("package", {}).get("repository")}
    if name == "pyproject.toml":
        return tomllib.loads(data.decode()).get("project", {}).get("urls", {})
    head = message_from_bytes(data.partition(b"\n\n")[0] + b"\n\n")
    pairs = [str(line).partition(",") for line in head.get_all("Project-URL", [])]
    return {"homepage": str(head.get("Home-page", ""))} | {label: address.strip() for label, _, address in pairs}
