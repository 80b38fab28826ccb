"""How xonsh is read: as Python."""

from parallel_mining.drivers.python.syntax import (
    BUILTINS,
    DENIED,
    PROGRAM,
    SHARES_DIRECTORY,
    TYPED,
    WORDING,
    alias,
    assemble,
    canonical,
    read,
)

__all__ = [
    "BUILTINS",
    "DENIED",
    "PROGRAM",
    "SHARES_DIRECTORY",
    "TYPED",
    "WORDING",
    "alias",
    "assemble",
    "canonical",
    "read",
]
