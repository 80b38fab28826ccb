"""Which texts count as the same? Start at `normalised_hash`.

What always holds: the hash is of the text alone. Nothing but the standard library is imported, since processes that
hash texts start for it.
"""

from __future__ import annotations

import hashlib


def normalised_hash(text: str) -> str:
    """Return 64 hex digits that texts share where they differ in line ends and trailing white space only."""
    lines = map(str.rstrip, text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return hashlib.sha256("\n".join(lines).strip("\n").encode("utf-8", "surrogatepass")).hexdigest()
