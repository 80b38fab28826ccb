"""A sweep as Slurm job arrays: a script for each way that runs are spread, a task of the array for each trunk.

Start at `run_array`. What always holds: a task that is killed, requeued or started twice loses no finished run, because
each run's record is written whole (`training.trunks`); the scripts name only what is not finished yet, so that the same
command, given again, goes on.

Importing this module imports no torch.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quality.artifacts import make_folder, write_atomically
from quality.mistakes import BadInput, Failure, Mistake
from quality.progress import progress
from training.capacity import Hardware
from training.layout import Layout
from training.torchrun import AGENT_LOGS
from training.trunks import TrunkTask, write_tasks

_FIRST_PORT, _PORTS = 20_000, 20_000


@dataclass(frozen=True)
class SlurmSettings:
    """Where and how job arrays run.

    Args:
        partition: The partition.
        time: The time limit of a task, as Slurm writes it; a trunk that needs longer goes on when it is queued again.
        memory_gb: Memory of a node that a task takes, in GB.
        options: More options of `sbatch`, by name without dashes (`account`, `qos`, `constraint`).
        environment: Shell commands that make this project's Python come first on the path; empty where nodes see this
            interpreter under the same path.
        at_once: Tasks of an array that run at the same time, at most; None for no limit.
        tries: How often a task starts its trunk before it fails.
        submit: Submit the scripts and wait for them; else they are only written.
        poll_seconds: How often progress is looked at.
    """

    partition: str
    time: str = "12:00:00"
    memory_gb: int = 16
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: str = ""
    at_once: int | None = None
    tries: int = 3
    submit: bool = False
    poll_seconds: float = 10.0


def run_array(tasks: Sequence[TrunkTask], out: Path, slurm: SlurmSettings, hardware: Hardware | None) -> list[Path]:
    """Write the scripts of all tasks beside the artifact and, if so asked, submit them and wait.

    Args:
        tasks: What is not finished.
        out: The artifact's folder; the scripts' is called after it, with `.slurm` behind.
        slurm: Where and how they run.
        hardware: The GPUs there are, or None for a cluster of CPUs.

    Returns:
        The scripts.

    Raises:
        BadInput: Slurm cannot be used from here.
        Failure: A job could not be submitted.
    """
    _check(slurm)
    folder = out.absolute().with_name(f"{out.name}.slurm")
    make_folder(folder)
    for old in [*folder.glob("array-*.sbatch"), *folder.glob("tasks-*.json")]:
        old.unlink()
    scripts: list[Path] = []
    for layout in dict.fromkeys(task.layout for task in tasks):
        name = f"{layout.processes}x{layout.tensor_parallel}"
        own = [task for task in tasks if task.layout == layout]
        write_tasks(folder / f"tasks-{name}.json", own)
        script = folder / f"array-{name}.sbatch"
        write_atomically(script, array_script(own, layout, folder / f"tasks-{name}.json", slurm, hardware))
        scripts.append(script)
    if slurm.submit:
        _submit(scripts, tasks, slurm)
    return scripts


def array_script(
    tasks: Sequence[TrunkTask], layout: Layout, tasks_file: Path, slurm: SlurmSettings, hardware: Hardware | None
) -> str:
    """Return the batch script of a job array whose tasks are all spread in one way.

    Args:
        tasks: One a task of the array.
        layout: How each is spread.
        tasks_file: Where the tasks were written.
        slurm: Where and how they run.
        hardware: The GPUs there are, or None for a cluster of CPUs.
    """
    per_node = min(layout.processes, hardware.per_node) if hardware else layout.processes
    nodes = math.ceil(layout.processes / per_node)
    limit = f"%{slurm.at_once}" if slurm.at_once else ""
    options = {
        "job-name": "polymix-sweep",
        "array": f"0-{len(tasks) - 1}{limit}",
        "partition": slurm.partition,
        "time": slurm.time,
        "nodes": str(nodes),
        "ntasks-per-node": "1",
        "mem": f"{slurm.memory_gb}G",
        **({"gpus-per-node": str(per_node)} if hardware else {}),
        "cpus-per-task": str(per_node * tasks[0].threads),
        "output": str(tasks_file.parent / "log-%A_%a.txt"),
        "open-mode": "append",
        "requeue": None,
        **slurm.options,
    }
    module = ("-m", "training.trunks", shlex.quote(str(tasks_file)), '"$SLURM_ARRAY_TASK_ID"')
    if layout.processes == 1:
        started = ["python", *module]
    else:
        started = [
            "python -m torch.distributed.run",
            f"--nnodes={nodes} --nproc-per-node={per_node}",
            f"--log-dir={shlex.quote(str(tasks_file.parent / AGENT_LOGS))}",
            '--rdzv-id="$SLURM_JOB_ID" --rdzv-backend=c10d --rdzv-endpoint="$head:$port"',
            *module,
        ]
    lines = [
        "#!/bin/bash",
        "# Trains the trunks of a sweep, one a task. What is finished is skipped; run the sweep's command again to",
        "# collect the results, or to write what is left.",
        *(f"#SBATCH --{name}" + ("" if value is None else f"={value}") for name, value in options.items()),
        slurm.environment or _own_environment(),
        f"export OMP_NUM_THREADS={tasks[0].threads}",
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        f"port=$(({_FIRST_PORT} + SLURM_JOB_ID % {_PORTS}))",
        f"for try in $(seq {slurm.tries}); do",
        f"    srun --kill-on-bad-exit=1 {' '.join(started)} && exit 0",
        "done",
        "exit 1",
    ]
    return "\n".join(lines) + "\n"


def _own_environment() -> str:
    programs = shlex.quote(str(Path(sys.executable).parent))
    interpreter = (sys.prefix, sys.base_prefix)
    paths = dict.fromkeys(str(Path(path).absolute()) for path in sys.path)
    own = [path for path in paths if not any(Path(path).is_relative_to(one) for one in interpreter)]
    return f'export PATH={programs}:"$PATH" PYTHONPATH={shlex.quote(os.pathsep.join(own))}'


def _check(slurm: SlurmSettings) -> None:
    mistakes = [
        Mistake("slurm", f"{name} {value}: at least 1 is needed")
        for name, value in (("at_once", slurm.at_once or 1), ("tries", slurm.tries), ("memory_gb", slurm.memory_gb))
        if value < 1
    ]
    missing = [program for program in ("sbatch", "squeue") if shutil.which(program) is None] if slurm.submit else []
    if missing:
        mistakes.append(Mistake("slurm", f"{', '.join(missing)} not found on the path; run this on a login node"))
    if mistakes:
        raise BadInput(mistakes)


def _submit(scripts: Sequence[Path], tasks: Sequence[TrunkTask], slurm: SlurmSettings) -> None:
    jobs = [_submitted(script) for script in scripts]
    runs = sum(len(task.pending) for task in tasks)
    with progress(total=runs, description=f"Slurm {', '.join(jobs)}", unit="run") as bar:
        waiting = True
        while waiting:
            waiting = any(_is_queued(job) for job in jobs)  # asked first: what it finished before it ended is counted
            bar.update(runs - sum(len(task.pending) for task in tasks) - bar.n)
            if waiting:
                time.sleep(slurm.poll_seconds)


def _submitted(script: Path) -> str:
    done = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"sbatch refused {script}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip().split(";")[0]


def _is_queued(job: str) -> bool:
    asked = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True)
    # A job that is long gone is unknown, which is said with an error; a controller that does not answer is no end.
    return bool(asked.stdout.strip()) or (asked.returncode != 0 and "Invalid job id" not in asked.stderr)
