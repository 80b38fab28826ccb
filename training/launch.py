"""How one run is spread over several processes: torchrun starts them, each runs this module.

Start at `launch`. What always holds: the processes end with the one that started them; what they print goes to a log
beside the run, its end into the error where they fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from quality.workers import follow
from training.sweep import LOG
from training.task import TrainTask, is_first, run_task

TASK_FILE = "task.json"
TORCHRUN_LOG = "torchrun.log"
STEPS_FILE = "steps"

_POLL_SECONDS = 0.5


class LaunchFailed(RuntimeError):
    """The processes of a run failed; the message ends with what they said last."""


def launch(task: TrainTask, on_step: Callable[[int], object]) -> None:
    """Run a task by torchrun, with `task.layout.processes` processes on this machine.

    Args:
        task: What to do.
        on_step: Called with tokens as they are trained on.

    Raises:
        LaunchFailed: A process failed.
    """
    folder = Path(task.folder)
    steps = folder / STEPS_FILE
    (folder / TASK_FILE).write_text(task.to_json())
    steps.write_bytes(b"")
    arguments = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={task.layout.processes}",
        "-m",
        "training.launch",
        str(folder / TASK_FILE),
        str(os.getpid()),
    ]
    environment = {
        "GLOO_SOCKET_IFNAME": "lo",  # one machine, which may not be able to resolve its own name
        **os.environ,
        "OMP_NUM_THREADS": str(task.threads),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    seen = 0
    with (
        (folder / TORCHRUN_LOG).open("wb") as log,
        subprocess.Popen(arguments, stdout=log, stderr=log, env=environment) as torchrun,
    ):
        try:
            while torchrun.poll() is None:
                time.sleep(_POLL_SECONDS)
                seen, before = steps.stat().st_size, seen
                on_step((seen - before) * task.spec.batch_tokens)
        finally:
            torchrun.terminate()  # torchrun ends its processes; nothing happens where it has ended
    if torchrun.returncode:
        said = (folder / TORCHRUN_LOG).read_text(errors="replace").strip().splitlines()
        raise LaunchFailed(
            f"{task.layout.processes} processes ended with code {torchrun.returncode}; {folder / TORCHRUN_LOG} and"
            f" {folder / LOG} hold all they said. The last of it:\n" + "\n".join(said[-15:])
        )
    for path in (folder / TASK_FILE, folder / TORCHRUN_LOG, steps):
        path.unlink()


def main() -> None:
    """Train this process's part of the task named on the command line."""
    task = TrainTask.from_json(Path(sys.argv[1]).read_text())
    follow(int(sys.argv[2]))
    with (Path(task.folder) / STEPS_FILE).open("ab", buffering=0) as steps:
        # One byte a step, by the first process alone: the size of the file is all that the launcher looks at.
        run_task(task, (lambda _: steps.write(b".")) if is_first() else (lambda _: None))


if __name__ == "__main__":
    main()
