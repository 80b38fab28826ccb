"""How one run is spread over several processes: torchrun starts them, each runs this module.

Start at `launch`; `training.torchrun` starts the processes, and waits for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from quality.workers import follow
from training.task import TrainTask, is_first, run_task
from training.torchrun import STEPS_FILE, launch_module

TASK_FILE = "task.json"


def launch(task: TrainTask, on_step: Callable[[int], object]) -> None:
    """Run a task by torchrun, with `task.layout.processes` processes on this machine.

    Args:
        task: What to do.
        on_step: Called with tokens as they are trained on.

    Raises:
        LaunchFailed: A process failed.
    """
    folder = Path(task.folder)
    (folder / TASK_FILE).write_text(task.to_json())
    launch_module(
        "training.launch",
        (str(folder / TASK_FILE), str(os.getpid())),
        folder,
        task.layout.processes,
        task.threads,
        lambda steps: on_step(steps * task.spec.batch_tokens),
    )
    (folder / TASK_FILE).unlink()


def main() -> None:
    """Train this process's part of the task named on the command line."""
    task = TrainTask.from_json(Path(sys.argv[1]).read_text())
    follow(int(sys.argv[2]))
    with (Path(task.folder) / STEPS_FILE).open("ab", buffering=0) as steps:
        # One byte a step, by the first process alone: the size of the file is all that the launcher looks at.
        run_task(task, (lambda _: steps.write(b".")) if is_first() else (lambda _: None))


if __name__ == "__main__":
    main()
