"""Many runs from one table of settings: planned and priced first, then trained, each kept as soon as it is done.

Start at `sweep`; `training.plan` says what would be trained, `training.pricing` what it would cost, `training.trunks`
how it is done, and `training.slurm` how a cluster does it. What always holds: the result is a function of settings and
token stores alone, whatever the number of workers and however often the sweep was killed; what failed is tried again,
and costs no other run anything.

Importing this module imports no torch.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from quality.artifacts import check_place, creating, finished
from quality.mistakes import BadInput, Failure
from quality.progress import progress, say
from training.capacity import Hardware
from training.layout import Layout, layout_mistakes, missing_library
from training.plan import Plan, plan_sweep
from training.pricing import GpuPrice, Price, gpu_price, price
from training.records import read_record, write_tables
from training.settings import SweepSettings
from training.slurm import SlurmSettings, run_array
from training.translations import TRANSLATIONS_FILE, mean_bits_per_byte, write_translation_sets
from training.trunks import CHECKPOINTS, TrunkTask, launch_trunk, train_trunk, trunk_tasks
from training.workers import Failed, default_workers, visible_devices, work

RETRIES = 2
"""How often a trunk that failed is tried again before the sweep goes on without it."""


def sweep(
    settings: SweepSettings,
    tokens_dir: Path | str,
    out: Path | str,
    *,
    shuffled_dir: Path | str | None = None,
    evaluation: Path | str | None = None,
    workers: int | None = None,
    hardware: Hardware | None = None,
    layout: Layout | None = None,
    slurm: SlurmSettings | None = None,
    retries: int = RETRIES,
    checkpoint_every: int = 500,
    threads: int = 1,
    replace: bool = False,
    command: str = "",
) -> Path | None:
    """Train a sweep and leave a `runs` artifact.

    A sweep that was stopped goes on with the runs that are not finished. One that is there already is left as it is.
    Nothing but settings and token stores changes a result, except that sums come in another order where a run is spread
    over several processes.

    Args:
        settings: What to train.
        tokens_dir: A `tokens` artifact.
        out: The artifact's folder.
        shuffled_dir: Another one of the same pairs, in which their halves were parted.
        evaluation: An `evaluation` artifact, on whose translations every run is scored as well.
        workers: Runs trained at once; as many as there are cores, or GPUs, unless named.
        hardware: The GPUs there are; each size is spread over as many as it needs. None to train every run in one
            process.
        layout: How every run is spread, instead of what its size needs.
        slurm: Run as a Slurm job array; None to run on this machine.
        retries: How often a trunk that failed is tried again.
        checkpoint_every: Steps between checkpoints of runs that take longer than that.
        threads: CPU threads of each process.
        replace: Runs of something else that are there already may be replaced.
        command: The command line that makes it again.

    Returns:
        The artifact's folder, or None where scripts for Slurm were written and not submitted.

    Raises:
        Stale: Runs of something else are there, and `replace` does not allow it.
        BadInput: The plan cannot be carried out; nothing was trained.
        Failure: Runs failed however often they were tried; those that are finished are kept for the next try.
        ContractFailed: The table of runs is not what its contract says.
    """
    out = Path(out)
    check_place(out, "runs")
    plan = plan_sweep(settings, tokens_dir, shuffled_dir, evaluation)
    layouts = choose_layouts(plan, hardware, layout)
    if slurm is None and (lacking := missing_library(settings.float8)):
        raise BadInput(lacking)
    if finished(out, "runs", plan.identity, replace=replace):
        say(f"{out}: this sweep is finished already; nothing to do")
        return out
    devices = visible_devices()
    workers = workers or len(devices) or default_workers()
    try:
        with creating(out, "runs", plan.identity, command=command, resume=True) as draft:
            done = frozenset(run.run_id for run in plan.runs if read_record(draft.path, run.run_id) is not None)
            if len(done) < len(plan.runs):
                if plan.translations:
                    write_translation_sets(plan.translations, draft.path / TRANSLATIONS_FILE)
                tasks = trunk_tasks(
                    plan, draft.path, layouts, threads=threads, checkpoint_every=checkpoint_every, command=command
                )
                if hardware is not None:
                    say(announcement(plan, gpu_price(plan, hardware, done=done), len(done)))
                elif slurm is None:  # nothing is tried on a login node
                    say(announcement(plan, price(plan, workers=workers, done=done), len(done)))
                if slurm is None:
                    _train(tasks, workers, retries, devices)
                else:
                    scripts = run_array(tasks, out, slurm, hardware)
                    if not slurm.submit:
                        raise _Written(scripts)
            records = [record for run in plan.runs if (record := read_record(draft.path, run.run_id)) is not None]
            if len(records) < len(plan.runs):
                left = len(plan.runs) - len(records)
                raise Failure(f"{left} of {len(plan.runs)} runs are not finished; the same command tries them again")
            tables = write_tables(draft.path, records)
            states = tables["runs.parquet"]["status"].to_pylist()
            draft.counts.update(
                runs=len(records),
                finished=states.count("finished"),
                diverged=states.count("diverged"),
                tokens=sum(run.steps * run.spec.batch_tokens for run in plan.runs),
                flops=sum(run.flops for run in plan.runs),
            )
            _tell_diverged(records)
            shutil.rmtree(draft.path / CHECKPOINTS, ignore_errors=True)
            (draft.path / TRANSLATIONS_FILE).unlink(missing_ok=True)
    except _Written as written:
        for script in written.scripts:
            say(f"written: submit it with `sbatch {script}`")
        say("when the jobs have ended, the same command collects the results, or writes scripts for what is left")
        return None
    return out


class _Written(Exception):
    """Scripts were written, and nothing else is to be done: the draft stays for the jobs to write into."""

    def __init__(self, scripts: list[Path]) -> None:
        super().__init__()
        self.scripts = scripts


def choose_layouts(plan: Plan, hardware: Hardware | None, layout: Layout | None) -> dict[str, Layout]:
    """Return how the runs of each size are spread.

    Args:
        plan: The plan.
        hardware: The GPUs there are, or None for one process a run.
        layout: How every run is spread, or None to choose.

    Raises:
        BadInput: The layout does not fit a size, or a size does not fit the hardware; all are listed.
    """
    first = {trunk.size: trunk.runs[-1].spec for trunk in reversed(plan.trunks)}
    if layout is not None:
        mistakes = [mistake for spec in first.values() for mistake in layout_mistakes(spec, plan.vocabulary, layout)]
        if mistakes:
            raise BadInput(dict.fromkeys(mistakes))
        return dict.fromkeys(first, layout)
    if hardware is None:
        return {}
    return {row.size: row.layout for row in gpu_price(plan, hardware).sizes}


def announcement(plan: Plan, cost: Price | GpuPrice, done: int = 0) -> str:
    """Return a plan's price in a sentence."""
    kept = f" ({done} more are finished already)" if done else ""
    if isinstance(cost, GpuPrice):
        rows = cost.sizes
        return (
            f"{sum(row.runs for row in rows)} runs{kept}, {sum(row.tokens for row in rows):,} tokens"
            f" ({sum(row.tokens_alone for row in rows):,} without shared trunks),"
            f" {sum(row.flops for row in rows):.2e} FLOPs, {cost.gpu_hours:.3g} GPU-hours"
            f" ({cost.gpu_hours_alone:.3g} without shared trunks) at an assumed {cost.hardware.mfu:.0%} of"
            f" {cost.hardware.peak_flops:.3g} FLOP/s, about {cost.hours:.3g} hours on {cost.hardware.gpus} GPUs"
        )
    guessed = [label for label in plan.settings.sizes if label not in cost.measured]
    return (
        f"{cost.runs} runs{kept}, {cost.tokens:,} tokens ({cost.tokens_alone:,} without shared trunks),"
        f" {cost.flops:.2e} FLOPs, about {cost.minutes:.1f} minutes with {cost.workers} at a time"
        + (f"; {', '.join(guessed)} priced by FLOPs" if guessed else "")
    )


def run_summaries(folder: Path | str) -> list[dict[str, Any]]:
    """Return what one wants to know of each run of a `runs` artifact, in order.

    Args:
        folder: The artifact.

    Returns:
        `run_id, trained_on, shares, size, params_non_embedding, tokens, status, train_loss_nats`, `bits_per_byte`
        (language to its last validation loss) and, where translations were scored, `translation_bits_per_byte` (of the
        directions that were `seen` and `unseen`).
    """
    folder = Path(folder)
    losses: dict[str, dict[str, float]] = {}
    for row in pq.read_table(folder / "evaluations.parquet").to_pylist():
        losses.setdefault(row["run_id"], {})[row["language"]] = round(row["bits_per_byte"], 6)
    translations: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(folder / "translations.parquet").to_pylist():
        translations.setdefault(row["run_id"], []).append(row)
    return [
        {
            "run_id": row["run_id"],
            "trained_on": row["trained_on"],
            "shares": dict(row["shares"]),
            "size": row["size"],
            "params_non_embedding": row["params_non_embedding"],
            "tokens": row["tokens"],
            "status": row["status"],
            "train_loss_nats": row["final_train_loss_nats"] if math.isfinite(row["final_train_loss_nats"]) else None,
            "bits_per_byte": losses.get(row["run_id"], {}),
            **(
                {"translation_bits_per_byte": mean_bits_per_byte(translations[row["run_id"]])}
                if row["run_id"] in translations
                else {}
            ),
        }
        for row in pq.read_table(folder / "runs.parquet").to_pylist()
    ]


def _train(tasks: list[TrunkTask], workers: int, retries: int, devices: tuple[str, ...]) -> None:
    """Train what fits in one process beside each other, then what needs several, one after the other."""
    alone = [task for task in tasks if task.layout.processes == 1]
    spread = [task for task in tasks if task.layout.processes > 1]
    total = sum(_tokens_left(task) for task in tasks)
    with progress(total=total, description="training", unit="tok") as bar:

        def keep(note: int | Mapping[str, Any]) -> None:
            if isinstance(note, int):
                bar.update(note)

        def again(failure: Failed) -> None:
            say(f"{_told(failure)}; it is tried again")

        failed = work(train_trunk, alone, workers, keep, retries=retries, on_retry=again, devices=devices)
        failed += work(launch_trunk, spread, 1, keep, retries=retries, on_retry=again)
    if failed:
        raise Failure(
            f"{len(failed)} of {len(tasks)} trunks failed {retries + 1} times; what is finished is kept, and the same"
            " command tries only what is not: " + "; ".join(map(_told, failed))
        )


def _tokens_left(task: TrunkTask) -> int:
    done = {run.run_id for run in task.trunk.runs} - {run.run_id for run in task.pending}
    return task.trunk.steps_left(done) * task.trunk.runs[0].spec.batch_tokens


def _told(failure: Failed) -> str:
    run = failure.task.trunk.runs[0]
    return f"{run.spec.size} on {run.mixture} failed ({failure.reason.strip().splitlines()[-1]})"


def _tell_diverged(records: list[dict[str, Any]]) -> None:
    diverged = [
        f"{record['run']['size']} on {record['run']['mixture']}"
        for record in records
        if record["run"]["status"] == "diverged"
    ]
    if diverged:
        say(f"{len(diverged)} runs diverged and are recorded as such: {', '.join(diverged)}; try a lower learning_rate")
