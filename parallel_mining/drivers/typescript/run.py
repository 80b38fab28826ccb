"""How TypeScript programs are run: node strips the types (and turns enums into objects), and runs the rest."""

from __future__ import annotations

from collections.abc import Sequence

from parallel_mining.drivers import Job, Toolchain, Unavailable
from parallel_mining.drivers.javascript.run import BATCH, find_node, node_job
from parallel_mining.pairs import Program

__all__ = ["BATCH", "job", "toolchain"]


def toolchain() -> Toolchain | Unavailable:
    """Return a node that is new enough to strip types."""
    return find_node("typescript")


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    return node_job(programs, tools, "ts")
