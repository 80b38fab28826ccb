"""Several processes of this machine for one module, started by torchrun and waited for.

Start at `launch_module`. What always holds: the processes end with the one that started them, as long as the module
follows it; what they print goes to a log, its end into the error where they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from quality.mistakes import Failure
from training.records import LOG

TORCHRUN_LOG = "torchrun.log"
AGENT_LOGS = "torchelastic"
STEPS_FILE = "steps"

_POLL_SECONDS = 0.5


class LaunchFailed(Failure):
    """The processes of a run failed; the message ends with what they said last."""


def launch_module(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    processes: int,
    threads: int,
    on_steps: Callable[[int], object],
) -> None:
    """Run a module in several processes of this machine by torchrun, and wait for them.

    Args:
        module: What each process runs. The first adds a byte to `STEPS_FILE` for every step.
        arguments: Of the module.
        folder: Where the log and the count of steps are put; both are removed when all went well.
        processes: How many.
        threads: CPU threads of each.
        on_steps: Called now and then with how many steps were done since.

    Raises:
        LaunchFailed: A process failed.
    """
    steps = folder / STEPS_FILE
    steps.write_bytes(b"")
    started = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={processes}",
        f"--log-dir={folder / AGENT_LOGS}",  # else it leaves a folder among the machine's temporary ones
        "-m",
        module,
        *arguments,
    ]
    environment = {
        "GLOO_SOCKET_IFNAME": "lo",  # one machine, which may not be able to resolve its own name
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    seen = 0
    with (
        (folder / TORCHRUN_LOG).open("wb") as log,
        subprocess.Popen(started, stdout=log, stderr=log, env=environment) as torchrun,
    ):
        try:
            while torchrun.poll() is None:
                time.sleep(_POLL_SECONDS)
                seen, before = steps.stat().st_size, seen
                on_steps(seen - before)
        finally:
            torchrun.terminate()  # torchrun ends its processes; nothing happens where it has ended
    if torchrun.returncode:
        said = (folder / TORCHRUN_LOG).read_text(errors="replace").strip().splitlines()
        raise LaunchFailed(
            f"{processes} processes ended with code {torchrun.returncode}; {folder / TORCHRUN_LOG} and"
            f" {folder / LOG} hold all they said. The last of it:\n" + "\n".join(said[-15:])
        )
    for path in (folder / TORCHRUN_LOG, steps):
        path.unlink()
    shutil.rmtree(folder / AGENT_LOGS, ignore_errors=True)
