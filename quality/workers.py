"""How worker processes live and die with the process that started them, wherever a part uses several cores."""

from __future__ import annotations

import os
import signal
import threading
import time

_POLL_SECONDS = 0.5


def follow(parent: int) -> None:
    """Make this process end when its parent is gone, even by SIGKILL, and leave Ctrl-C to the parent.

    A pool's worker would wait for work for ever otherwise, and hold what it inherited.

    Args:
        parent: The parent's process id, taken by the parent itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(_POLL_SECONDS)
