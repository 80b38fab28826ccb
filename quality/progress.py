"""One progress bar for all long work, on stderr: a live bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_LOG_INTERVAL_S = 15.0


def progress(
    items: Iterable[Any] | None = None, *, total: float | None = None, description: str = "", unit: str = "it"
) -> tqdm[Any]:
    """Return a progress bar over `items`, or one to `update()` by hand.

    Args:
        items: What to iterate over, or None.
        total: How many units there are, where `items` cannot tell.
        description: What is being done, in a few words.
        unit: What is counted.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        total=total,
        desc=description,
        unit=unit,
        unit_scale=True,
        file=sys.stderr,
        ascii=not terminal,
        mininterval=0.2 if terminal else _LOG_INTERVAL_S,
        ncols=None if terminal else 100,
    )


def say(message: str) -> None:
    """Write one line to stderr without tearing a progress bar."""
    tqdm.write(message, file=sys.stderr)
