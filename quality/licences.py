"""Which licence holds for a file, as SPDX identifiers, and whether it lets the file be used.

Start at `license_type`. Licence names come from three places: texts (`from_text`, for LICENSE and COPYING files), file
headers (`from_header`) and package metadata (`normalise`, `from_metadata`, `from_debian_copyright`). All of them
return a tuple of SPDX expressions that *all* apply; a choice stays inside one expression (`MIT OR GPL-2.0-only`).
A header in the file beats whatever holds for its folder (`effective`). No licence is never permissive.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

LicenseType = Literal["permissive", "non_permissive", "no_license"]


def license_type(licenses: Iterable[str]) -> LicenseType:
    """Return whether SPDX expressions that all apply are permissive together."""
    raise NotImplementedError


def effective(text: str, of_folder: Iterable[str]) -> tuple[str, ...]:
    """Return the licences of a file: those its header names, else those that hold for its folder."""
    raise NotImplementedError
