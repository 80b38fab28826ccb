"""What one process does for a training run: the task as it travels there, and its execution.

Start at `run_task`. What always holds: whichever process runs a task, and beside how many others, the record is written
by the first alone. Importing this module imports no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from quality.artifacts import read_manifest
from training.allocation import Allocation
from training.evaluation import end_of_text, validation_set
from training.layout import Layout
from training.order import plan_order
from training.records import LOG, record_of, run_row, write_record
from training.runs import RunSpec
from training.shards import open_shards
from training.shuffle import Ordered
from training.stores import open_stores
from training.translations import TRANSLATIONS_FILE, read_translation_sets

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class TrainTask:
    """What the processes of one run need; it travels to them as JSON.

    Args:
        data: A `tokens` or `shards` artifact.
        spec: What the run is.
        run_id: Its name.
        order_tokens: Tokens that its order is planned for.
        max_epochs: How often a source may be read.
        languages: What it is validated on.
        validation_tokens: Tokens of each.
        vocabulary: Token ids.
        stores: Fingerprint of what it reads.
        warmup: Steps in which the learning rate rises.
        layout: How it is spread.
        threads: CPU threads of each process.
        compiled: Whether the model is compiled; None for what suits the device.
        checkpoint_every: Steps between checkpoints.
        folder: Where record, checkpoint and log are put.
        command: The command line that makes it again.
    """

    data: str
    spec: RunSpec
    run_id: str
    order_tokens: int
    max_epochs: float
    languages: tuple[str, ...]
    validation_tokens: int
    vocabulary: int
    stores: str
    warmup: int
    layout: Layout
    threads: int
    compiled: bool | None
    checkpoint_every: int
    folder: str
    command: str

    def to_json(self) -> str:
        """Return the task as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> TrainTask:
        """Return the task that `to_json` wrote."""
        value = cast(dict[str, Any], json.loads(text))
        value["spec"] = RunSpec(**value["spec"])
        value["layout"] = Layout(**value["layout"])
        value["languages"] = tuple(value["languages"])
        return TrainTask(**value)


def run_task(task: TrainTask, on_step: Callable[[int], object]) -> None:
    """Train a task's run in this process, which may be one of several, and write its record.

    Args:
        task: What to do.
        on_step: Called after each step with its tokens.
    """
    from training.recipe import Outcome, train_branches
    from training.shuffle import Shuffled

    data, folder, spec = Path(task.data), Path(task.folder), task.spec
    order: Ordered
    if read_manifest(data)["kind"] == "shards":
        order = open_shards(data)
    else:
        stores = open_stores(data, "train")
        order = plan_order(
            stores, Allocation(spec.shares), task.order_tokens, spec.sequence_length, spec.seed, task.max_epochs
        )
    held_out = open_stores(data, "validation")
    validation = tuple(
        validation_set(held_out[name], sequence_length=spec.sequence_length, wanted=task.validation_tokens)
        for name in task.languages
    )
    translations = folder / TRANSLATIONS_FILE
    repeats = {source: epochs * spec.tokens / task.order_tokens for source, epochs in order.repeats.items()}
    leads = is_first()

    def keep(spec: RunSpec, outcome: Outcome) -> None:
        if not leads:
            return
        row = run_row(
            task.run_id,
            spec,
            outcome,
            vocabulary=task.vocabulary,
            repeats=repeats,
            stores=task.stores,
            command=task.command,
            world_size=task.layout.processes,
        )
        write_record(folder, record_of(row, outcome))

    train_branches(
        (spec,),
        vocabulary=task.vocabulary,
        sequences=Shuffled(order, spec.seed).sequences,
        validation=validation,
        on_outcome=keep,
        translations=read_translation_sets(translations) if translations.is_file() else (),
        end_of_text=end_of_text(next(iter(held_out.values()))),
        warmup=task.warmup,
        layout=task.layout,
        threads=task.threads,
        compiled=task.compiled,
        checkpoint=folder / CHECKPOINT,
        checkpoint_every=task.checkpoint_every,
        log=folder / LOG if leads else None,
        on_step=on_step,
    )


def is_first() -> bool:
    """Return whether this process is the one of its run that writes."""
    return os.environ.get("RANK", "0") == "0"
