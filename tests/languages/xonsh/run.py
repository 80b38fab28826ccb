"""How xonsh programs are run: those that use nothing but its Python part, as Python."""

from __future__ import annotations

from dataclasses import replace

from parallel_mining.drivers import Toolchain
from parallel_mining.drivers.python import run as python
from parallel_mining.drivers.python.run import BATCH, job, whole_job

__all__ = ["BATCH", "job", "toolchain", "whole_job"]


def toolchain() -> Toolchain:
    """Return this interpreter: there always is one."""
    return replace(python.toolchain(), language="xonsh")
