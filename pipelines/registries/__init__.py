"""Registries of packages, a module each: how a package is found and downloaded there, with its checksum checked.

Each module's `fetch_...` takes a name, a version, a folder to download into and the cache, and returns the version it
found, the files, and the licences that the metadata states. No address of a registry stands in the code: each is asked
the way its own client on this machine is configured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class FetchError(ValueError):
    """A package that cannot be had: what was asked, what was answered, what to do."""


@dataclass(frozen=True)
class Downloaded:
    """A file that was downloaded: its name there, and where it is now."""

    name: str
    path: Path


def some(versions: Mapping[str, Any] | Sequence[str]) -> str:
    """Return a few of the versions there are, for a message."""
    known = list(versions)
    shown = ", ".join(known[-8:])
    return f"{shown} and {len(known) - 8} more" if len(known) > 8 else shown
