"""How the runs of one trunk are trained, in this process or in several that torchrun starts, and what they leave.

Start at `TrunkTask`. `train_trunk` is what a worker does; `launch_trunk` spreads a trunk over processes; `python -m
training.trunks TASKS.json NUMBER` is what torchrun and Slurm start, on as many nodes as they like. What always holds:
a task trains the runs that have no record yet, and writes each record whole as soon as its run is done, so that one
killed at any moment, or started twice, loses and repeats no finished run; a long trunk goes on from its last
checkpoint.

Importing this module imports no torch.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from quality.artifacts import write_atomically
from quality.workers import follow
from training.allocation import Allocation
from training.checkpoints import check_last
from training.layout import Layout
from training.order import plan_order
from training.plan import Plan, PlannedRun, Trunk, training_stores
from training.records import LOG, read_record, record_of, run_row, write_record
from training.runs import RunSpec
from training.shuffle import Shuffled
from training.stores import open_stores
from training.torchrun import STEPS_FILE, launch_module
from training.translations import TRANSLATIONS_FILE, read_translation_sets
from training.workers import Note

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrunkTask:
    """What a process needs to train a trunk; it travels as JSON.

    Args:
        tokens_dir: The token stores.
        shuffled_dir: Those in which the halves of pairs were parted, or "".
        trunk: What is trained.
        sequence_length: Tokens a sequence.
        max_epochs: How often a source may be read.
        validation_tokens: Tokens of each language that runs are validated on.
        vocabulary: Token ids.
        stores: Fingerprint of the stores that the sweep reads.
        layout: How it is spread.
        threads: CPU threads of each process.
        checkpoint_every: Steps between checkpoints; a trunk of fewer steps has none.
        folder: Where records, checkpoints and log are put, and translations are read that runs are scored on.
        command: The command line that makes it again.
    """

    tokens_dir: str
    shuffled_dir: str
    trunk: Trunk
    sequence_length: int
    max_epochs: float
    validation_tokens: int
    vocabulary: int
    stores: str
    layout: Layout
    threads: int
    checkpoint_every: int
    folder: str
    command: str

    @property
    def name(self) -> str:
        """Return what its checkpoints are called: the id of its longest run."""
        return self.trunk.runs[-1].run_id

    @property
    def pending(self) -> tuple[PlannedRun, ...]:
        """Return the runs that have no record yet."""
        return tuple(run for run in self.trunk.runs if read_record(Path(self.folder), run.run_id) is None)


def trunk_tasks(
    plan: Plan,
    folder: Path,
    layouts: Mapping[str, Layout],
    *,
    threads: int = 1,
    checkpoint_every: int = 500,
    command: str = "",
) -> list[TrunkTask]:
    """Return a task for every trunk that has runs without a record, the longest first.

    Args:
        plan: The plan.
        folder: Where records are put.
        layouts: Size label to how its runs are spread; one process where there is none.
        threads: CPU threads of each process.
        checkpoint_every: Steps between checkpoints.
        command: The command line that makes it again.
    """
    settings = plan.settings
    tasks = [
        TrunkTask(
            tokens_dir=str(plan.tokens_dir.absolute()),
            shuffled_dir=str(plan.shuffled_dir.absolute()) if plan.shuffled_dir else "",
            trunk=trunk,
            sequence_length=settings.sequence_length,
            max_epochs=settings.max_epochs,
            validation_tokens=settings.validation_tokens,
            vocabulary=plan.vocabulary,
            stores=plan.stores,
            layout=layouts.get(trunk.size, Layout()),
            threads=threads,
            checkpoint_every=checkpoint_every,
            folder=str(folder.absolute()),
            command=command,
        )
        for trunk in plan.trunks
    ]
    # The longest first: nothing is waited for at the end but short ones.
    return sorted((task for task in tasks if task.pending), key=lambda task: -sum(r.flops for r in task.trunk.runs))


def write_tasks(path: Path, tasks: Sequence[TrunkTask]) -> None:
    """Write tasks to a file that `read_tasks` and the command line of this module read."""
    write_atomically(path, json.dumps([asdict(task) for task in tasks], allow_nan=False) + "\n")


def read_tasks(path: Path) -> list[TrunkTask]:
    """Return the tasks of a file."""
    return [_task(row) for row in json.loads(path.read_text())]


def _task(row: dict[str, Any]) -> TrunkTask:
    trunk = cast(dict[str, Any], row["trunk"])
    for run in trunk["runs"]:
        run["spec"] = RunSpec(**run["spec"])
    trunk["runs"] = tuple(PlannedRun(**run) for run in trunk["runs"])
    trunk["languages"] = tuple(trunk["languages"])
    row["trunk"], row["layout"] = Trunk(**trunk), Layout(**row["layout"])
    return TrunkTask(**row)


def train_trunk(task: TrunkTask, note: Note) -> None:
    """Train the runs of a trunk that have no record, in this process, which may be one of several.

    Args:
        task: What to do.
        note: Called with tokens as they are trained on, and, in the first process, with the row of each finished run.
    """
    from training.evaluation import end_of_text, validation_set
    from training.recipe import Outcome, train_branches

    folder, trunk = Path(task.folder), task.trunk
    pending = {run.spec.tokens: run for run in task.pending}
    specs = tuple(run.spec for run in pending.values())
    if not specs:
        return
    order = plan_order(
        training_stores(Path(task.tokens_dir), Path(task.shuffled_dir) if task.shuffled_dir else None, trunk.pairing),
        Allocation(specs[0].shares),
        trunk.order_tokens,
        task.sequence_length,
        specs[0].seed,
        task.max_epochs,
    )
    stores = open_stores(task.tokens_dir, "validation")
    validation = tuple(
        validation_set(stores[name], sequence_length=task.sequence_length, wanted=task.validation_tokens)
        for name in trunk.languages
    )
    translations = folder / TRANSLATIONS_FILE
    leads = _is_first()

    def keep(spec: RunSpec, outcome: Outcome) -> None:
        if not leads:
            return
        run = pending[spec.tokens]
        row = run_row(
            run.run_id,
            spec,
            outcome,
            vocabulary=task.vocabulary,
            repeats=run.repeats,
            stores=task.stores,
            command=task.command,
            world_size=task.layout.processes,
            mixture=run.mixture,
            pairing=run.pairing,
        )
        write_record(folder, record_of(row, outcome))
        note(row)

    checkpoint = folder / CHECKPOINTS / task.name if trunk.runs[-1].steps > task.checkpoint_every else None
    if checkpoint is not None and leads:
        check_last(checkpoint)
    train_branches(
        specs,
        vocabulary=task.vocabulary,
        sequences=Shuffled(order, specs[0].seed).sequences,
        validation=validation,
        on_outcome=keep,
        translations=read_translation_sets(translations) if translations.is_file() else (),
        end_of_text=end_of_text(next(iter(stores.values()))),
        warmup=trunk.warmup,
        layout=task.layout,
        threads=task.threads,
        checkpoint=checkpoint,
        checkpoint_every=task.checkpoint_every,
        log=folder / LOG if leads else None,
        on_step=note,
    )
    if checkpoint is not None and leads:
        shutil.rmtree(checkpoint, ignore_errors=True)


def launch_trunk(task: TrunkTask, note: Note) -> None:
    """Train a trunk as `train_trunk` does, in as many processes of this machine as its layout says.

    Raises:
        LaunchFailed: A process failed.
    """
    if task.layout.processes == 1:
        train_trunk(task, note)
        return
    work = Path(task.folder) / f"torchrun-{task.name}"
    work.mkdir(exist_ok=True)
    write_tasks(work / "tasks.json", [task])
    launch_module(
        "training.trunks",
        (str(work / "tasks.json"), "0", "--parent", str(os.getpid())),
        work,
        task.layout.processes,
        task.threads,
        lambda steps: note(steps * task.trunk.runs[0].spec.batch_tokens),
    )
    shutil.rmtree(work)


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def main(arguments: Sequence[str]) -> None:
    """Train this process's part of a task: `TASKS.json NUMBER [--parent PID]`."""
    path, number, *parent = arguments
    task = read_tasks(Path(path))[int(number)]
    steps = None
    if parent:
        follow(int(parent[1]))
        steps = (Path(path).parent / STEPS_FILE).open("ab", buffering=0) if _is_first() else None

    def note(value: Any) -> None:
        # One byte a step: the size of the file is all that the launcher looks at.
        if steps is not None and isinstance(value, int):
            steps.write(b".")

    train_trunk(task, note)


if __name__ == "__main__":
    main(sys.argv[1:])
