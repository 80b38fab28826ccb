"""`polymix sweep`: plan, price and train many runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click


@click.command(short_help="plan, price and run many training runs")
@click.argument("settings", type=click.Path(path_type=Path), metavar="SWEEP.toml")
@click.option(
    "--tokens-dir", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Token stores to train on."
)
@click.option(
    "--shuffled-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Token stores of the same pairs, their halves parted.",
)
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="An evaluation set, on whose translations every run is scored as well.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the runs are put.")
@click.option("--replace", is_flag=True, help="Replace runs of other settings or stores that are there.")
@click.option("--workers", type=click.IntRange(min=1), help="Runs trained at once. Default: one a core, or GPU.")
@click.option("--dry-run", is_flag=True, help="Print the plan and its price, and train nothing.")
@click.option("--retries", default=2, show_default=True, type=click.IntRange(min=0), help="Of a run that failed.")
@click.option("--gpus", type=click.IntRange(min=1), help="GPUs there are; sizes are spread as they need.")
@click.option("--gpus-per-node", default=8, show_default=True, type=click.IntRange(min=1))
@click.option("--gpu-memory", default=80.0, show_default=True, metavar="GIB", help="Memory of a GPU.")
@click.option("--gpu-flops", default=989e12, show_default=True, metavar="N", help="Its dense bfloat16 FLOP/s.")
@click.option("--mfu", default=0.4, show_default=True, help="The part of them that training is assumed to reach.")
@click.option("--processes", type=click.IntRange(min=1), help="Of each run, started by torchrun. Default: by size.")
@click.option("--tensor-parallel", default=1, show_default=True, type=click.IntRange(min=1), help="With --processes.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads of a process.")
@click.option("--checkpoint-every", default=500, show_default=True, type=click.IntRange(min=1), help="Steps.")
@click.option("--engine", type=click.Choice(["local", "slurm"]), default="local", show_default=True)
@click.option("--submit", is_flag=True, help="Submit the scripts for Slurm, and wait; else they are only written.")
@click.option("--slurm-partition", metavar="NAME")
@click.option("--slurm-time", default="12:00:00", show_default=True, metavar="TIME", help="Of a task.")
@click.option("--slurm-memory", default=16, show_default=True, type=click.IntRange(min=1), help="GB a node.")
@click.option("--slurm-option", "slurm_options", multiple=True, metavar="NAME=VALUE", help="More of sbatch's.")
@click.option("--slurm-environment", default="", metavar="COMMANDS", help="What makes the nodes find this Python.")
@click.option("--slurm-at-once", type=click.IntRange(min=1), help="Tasks at the same time, at most.")
def command(
    settings: Path,
    tokens_dir: Path,
    shuffled_dir: Path | None,
    evaluation: Path | None,
    out: Path | None,
    replace: bool,
    workers: int | None,
    dry_run: bool,
    retries: int,
    gpus: int | None,
    gpus_per_node: int,
    gpu_memory: float,
    gpu_flops: float,
    mfu: float,
    processes: int | None,
    tensor_parallel: int,
    threads: int,
    checkpoint_every: int,
    engine: str,
    submit: bool,
    slurm_partition: str | None,
    slurm_time: str,
    slurm_memory: int,
    slurm_options: tuple[str, ...],
    slurm_environment: str,
    slurm_at_once: int | None,
) -> None:
    """Train every size with every budget, on each language alone and on mixtures.

    The plan is priced before anything is trained: by a few steps of each size on this machine, or, with --gpus, by
    counting memory, FLOPs and GPU-hours, which also chooses over how many GPUs each size is spread. Runs that differ by
    their budget alone share a trunk, and the price of separate runs is told beside it. Stopped or killed, the same
    command goes on with the runs that are not finished, and ends with the same result; a run that fails is tried again.
    Prints a JSON object a run: what it was trained on and its validation losses. In DIR: runs.parquet,
    evaluations.parquet, translations.parquet, curves.parquet, which `polymix fit` reads, and a record a run.

    With --engine slurm, scripts for `sbatch` are written to DIR.slurm: a job array whose tasks train a trunk each. The
    same command, given again when they have ended, collects the results; with --submit it does all of that.

    \b
    SWEEP.toml
      sizes = ["4M", "8M", "20M"]             # see the list in the error for an unknown one
      tokens = ["50M", "100M", "200M"]        # budgets
      sequence_length = 1024                  # default 2048
      batch_tokens = 65_536                   # default: by size
      languages = ["python", "go"]            # default: all that have stores
      learning_rate = "by size"               # or one number, such as 3e-3
      rate_factors = [0.5, 1.0, 2.0]          # runs at these multiples of it; default: 1.0 alone
      schedule = "wsd-sqrt"                   # budgets share a trunk; or "cosine": each is trained whole
      across_documents = true                 # false: tokens do not attend to the documents before theirs
      float8 = false                          # multiply matrices in 8 bits (needs torchao)
      validate_on = "all"                     # or "trained": only on languages the run has seen
      validation_tokens = 65_536              # of each language
      seed = 0
      seeds = 1                               # runs of each kind, with seeds counted up
      each_language = true                    # a run for each language alone
      bilingual = [0.5, 0.75]                 # and for every two of them, with these shares of the first
      uniform = true                          # and for all of them in equal shares
      pairing = ["parallel", "shuffled"]      # mixtures with pairs: halves together, and parted
      [mixtures.half]                         # and on mixtures
      python = 0.5
      "pair:python-go" = 0.5
      [allocations]                           # and on what `polymix allocate` printed
      recommended = "allocation.json"

    \b
    Examples:
      polymix sweep sweep.toml --tokens-dir tokens --dry-run
      polymix sweep sweep.toml --tokens-dir tokens --dry-run --gpus 64 --gpu-memory 80
      polymix sweep sweep.toml --tokens-dir tokens --out runs && polymix fit runs --by language
      polymix sweep sweep.toml --tokens-dir tokens --out runs --gpus 8
      polymix sweep sweep.toml --tokens-dir tokens --out runs --gpus 64 --engine slurm --slurm-partition gpu --submit
    """
    from pipelines.console import emit
    from quality.mistakes import BadInput, Mistake
    from quality.progress import say
    from training.capacity import Hardware
    from training.layout import Layout
    from training.plan import plan_sweep
    from training.pricing import gpu_price, price
    from training.settings import read_sweep_settings
    from training.slurm import SlurmSettings
    from training.sweep import announcement, choose_layouts, run_summaries, sweep

    wanted = read_sweep_settings(settings)
    hardware = Hardware(gpus, gpus_per_node, gpu_memory, gpu_flops, mfu) if gpus else None
    layout = Layout(processes, tensor_parallel) if processes else None
    wrong = [option for option in slurm_options if not option.partition("=")[0] or "=" not in option]
    mistakes = [Mistake("--slurm-option", f"{option!r} is not NAME=VALUE") for option in wrong]
    if engine == "slurm" and not slurm_partition:
        mistakes.append(Mistake("--slurm-partition", "is missing; name the partition that the jobs go to"))
    if out is None and not dry_run:
        mistakes.append(
            Mistake("--out", "is missing; name a folder for the runs, or give --dry-run to see the plan alone")
        )
    if mistakes:
        raise BadInput(mistakes)
    if dry_run or out is None:
        plan = plan_sweep(wanted, tokens_dir, shuffled_dir, evaluation)
        choose_layouts(plan, hardware, layout)
        emit((run.as_json() for run in plan.runs), title="Plan")
        if hardware is None:
            say(announcement(plan, price(plan, workers=workers)))
            return
        cost = gpu_price(plan, hardware)
        emit((row.as_json() for row in cost.sizes), title="Price")
        say(announcement(plan, cost))
        return
    slurm = SlurmSettings(
        partition=slurm_partition or "",
        time=slurm_time,
        memory_gb=slurm_memory,
        options=dict(option.split("=", 1) for option in slurm_options),
        environment=slurm_environment,
        at_once=slurm_at_once,
        tries=retries + 1,
        submit=submit,
    )
    done = sweep(
        wanted,
        tokens_dir,
        out,
        shuffled_dir=shuffled_dir,
        evaluation=evaluation,
        workers=workers,
        hardware=hardware,
        layout=layout,
        slurm=slurm if engine == "slurm" else None,
        retries=retries,
        checkpoint_every=checkpoint_every,
        threads=threads,
        replace=replace,
        command=shlex.join(["polymix", *sys.argv[1:]]),
    )
    if done is not None:
        emit(run_summaries(done), title=str(done))
