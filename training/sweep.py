"""Many runs from one table of settings: planned and priced first, then trained, each kept as soon as it is done.

Start at `sweep`; `plan_sweep` says what would be trained and `price` what it would cost. What always holds: the result
is a function of settings and token stores alone, whatever the number of workers and however often the sweep was killed;
a request that the stores cannot supply is refused before anything is trained. Runs that differ by their budget alone
share a trunk (`training.recipe.train_branches`), so a budget costs only its decay beyond the next smaller one's.

Importing this module imports no torch: planning works without it.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from quality.artifacts import MANIFEST, creating, fingerprint, read_manifest
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake
from quality.progress import progress, say
from training.allocation import Allocation
from training.hyperparameters import (
    RECIPE,
    decay_starts,
    learning_rate,
    run_id,
    run_identity,
    steps_of,
    warmup_steps,
)
from training.order import Infeasible, plan_order
from training.records import read_record, write_record, write_tables
from training.runs import RunSpec
from training.settings import SweepSettings
from training.shuffle import Shuffled
from training.sizes import size
from training.stores import TokenStore, open_stores
from training.translations import mean_bits_per_byte
from training.workers import Note, default_workers, work

CALIBRATION_STEPS = 8
CALIBRATION_WARM_STEPS = 3
CALIBRATION_TOKENS = 8_192
CALIBRATION_FLOPS = 1e12
"""A CPU does about 3e10 a second on one core, so a size is measured for half a minute at most, or not at all."""

LOG = "torchtitan.log"


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Args:
        run_id: Its name.
        mixture: The language it is trained on alone, or the mixture's name.
        spec: What it is.
        steps: Optimizer steps.
        flops: Training FLOPs by formula, as if it were trained alone.
        repeats: Source to epochs.
    """

    run_id: str
    mixture: str
    spec: RunSpec
    steps: int
    flops: float
    repeats: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return one row for people and programs."""
        spec = self.spec
        return {
            "run_id": self.run_id,
            "mixture": self.mixture,
            "size": spec.size,
            "params_non_embedding": size(spec.size).non_embedding_parameters,
            "tokens": self.steps * spec.batch_tokens,
            "steps": self.steps,
            "learning_rate": spec.learning_rate,
            "seed": spec.seed,
            "flops": self.flops,
            "repeats": dict(self.repeats),
        }


@dataclass(frozen=True)
class Trunk:
    """Runs that differ by their tokens alone, by rising tokens.

    Args:
        runs: The runs.
        warmup: Steps in which the learning rate rises.
        order_tokens: Tokens that their common order is planned for: those of the longest.
        languages: What they are validated on.
    """

    runs: tuple[PlannedRun, ...]
    warmup: int
    order_tokens: int
    languages: tuple[str, ...]

    def steps_left(self, done: set[str]) -> int:
        """Return the steps that training takes, but for the runs that are done."""
        left = [run.steps for run in self.runs if run.run_id not in done]
        return (decay_starts(left[-1]) + sum(steps - decay_starts(steps) for steps in left)) if left else 0


@dataclass(frozen=True)
class Plan:
    """A sweep before it is trained.

    Args:
        settings: What was asked for.
        tokens_dir: The token stores.
        vocabulary: Token ids.
        stores: Fingerprint of the stores it reads.
        trunks: What is trained, in order.
    """

    settings: SweepSettings
    tokens_dir: Path
    vocabulary: int
    stores: str
    trunks: tuple[Trunk, ...]

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """Return all runs, in order."""
        return tuple(run for trunk in self.trunks for run in trunk.runs)

    @property
    def identity(self) -> dict[str, Any]:
        """Return everything that the result depends on."""
        return {
            "settings": json.loads(self.settings.model_dump_json()),
            "stores": self.stores,
            "recipe": asdict(RECIPE),
        }


@dataclass(frozen=True)
class Price:
    """What a plan costs.

    Args:
        runs: Runs that are not done yet.
        tokens: Tokens trained on, those of a trunk once.
        tokens_alone: Tokens that would be trained on without trunks.
        flops: Training FLOPs, those of a trunk once.
        minutes: Wall clock, estimated from `seconds_per_token` and shared by the workers.
        workers: Runs trained at once.
        seconds_per_token: Size to what was measured; NaN nowhere: a size too large to be tried is priced by its FLOPs.
        measured: Sizes that were tried.
    """

    runs: int
    tokens: int
    tokens_alone: int
    flops: float
    minutes: float
    workers: int
    seconds_per_token: Mapping[str, float]
    measured: tuple[str, ...]


def stores_fingerprint(stores: list[TokenStore]) -> str:
    """Return the fingerprint of token stores: their checksums, by source and split."""
    rows = [json.loads((store.folder / "store.json").read_text()) for store in stores]
    return fingerprint(sorted([row["source"], row["split"], row["sha256"], row["tokenizer"]] for row in rows))


def plan_sweep(settings: SweepSettings, tokens_dir: Path | str) -> Plan:
    """Plan every run of a sweep.

    Args:
        settings: What is asked for.
        tokens_dir: A `tokens` artifact.

    Raises:
        BadInput: A language or source has no store, or a budget is more than a store can supply; all are listed.
    """
    tokens_dir = Path(tokens_dir)
    read_manifest(tokens_dir, "tokens")
    train = open_stores(tokens_dir, "train", verify=True)
    validation = open_stores(tokens_dir, "validation", verify=True)
    languages = settings.languages or tuple(name for name in LANGUAGES if name in train)
    mixtures: dict[str, dict[str, float]] = {}
    if settings.each_language:
        mixtures |= {language: {language: 1.0} for language in languages}
    mistakes = [
        Mistake(f"mixtures.{name}", "is the name of a language that is trained on alone; name it otherwise")
        for name in settings.mixtures
        if name in mixtures
    ]
    mixtures |= settings.mixtures
    mistakes += _missing(tokens_dir, mixtures, train, validation)
    if mistakes:
        raise BadInput(mistakes)
    evaluated = tuple(name for name in LANGUAGES if name in validation)
    some_store = next(iter(train.values()))
    stores = stores_fingerprint(
        [train[name] for name in sorted({source for shares in mixtures.values() for source in shares})]
        + [validation[name] for name in evaluated]
    )
    trunks: list[Trunk] = []
    for name, shares in mixtures.items():
        order_tokens = max(_whole_batches(tokens, settings) for tokens in settings.tokens)
        try:
            order = plan_order(
                train, Allocation(shares), order_tokens, settings.sequence_length, settings.seed, settings.max_epochs
            )
        except Infeasible as error:
            mistakes += [
                Mistake(f"tokens, on {name}: {m.where}", f"{m.what}; lower tokens, or raise max_epochs")
                for m in error.mistakes
            ]
            continue
        targets = evaluated if settings.validate_on == "all" else tuple(_languages_of(shares, evaluated))
        for label in settings.sizes:
            for seed in range(settings.seed, settings.seed + settings.seeds):
                trunk = _trunk(settings, name, shares, label, seed, order_tokens, targets, some_store, stores)
                repeats = order.repeats
                trunks.append(_with_repeats(trunk, repeats))
    if mistakes:
        raise BadInput(dict.fromkeys(mistakes))
    return Plan(settings, tokens_dir, len(some_store.id_bytes), stores, tuple(trunks))


def _missing(
    tokens_dir: Path,
    mixtures: Mapping[str, Mapping[str, float]],
    train: Mapping[str, TokenStore],
    validation: Mapping[str, TokenStore],
) -> list[Mistake]:
    mistakes: list[Mistake] = []
    for name, shares in mixtures.items():
        for source in shares:
            if source not in train:
                mistakes.append(
                    Mistake(f"{name}: {source}", f"no training store in {tokens_dir}; there are: {', '.join(train)}")
                )
        mistakes += [
            Mistake(f"{name}: {language}", f"no validation store in {tokens_dir}; its loss could not be measured")
            for language in _languages_of(shares, tuple(LANGUAGES))
            if language in train and language not in validation
        ]
    return list(dict.fromkeys(mistakes))


def _languages_of(shares: Mapping[str, float], known: tuple[str, ...]) -> list[str]:
    """Return the languages of a mixture's sources, both sides of its pairs included."""
    named = {part for source in shares for part in source.removeprefix("pair:").split("-")}
    return [language for language in known if language in named]


def _whole_batches(tokens: int, settings: SweepSettings) -> int:
    return max(1, round(tokens / settings.batch_tokens)) * settings.batch_tokens


def _trunk(
    settings: SweepSettings,
    name: str,
    shares: Mapping[str, float],
    label: str,
    seed: int,
    order_tokens: int,
    languages: tuple[str, ...],
    store: TokenStore,
    stores: str,
) -> Trunk:
    shape = size(label)
    rate = settings.learning_rate
    specs = [
        RunSpec(
            size=label,
            tokens=_whole_batches(tokens, settings),
            shares=dict(shares),
            seed=seed,
            sequence_length=settings.sequence_length,
            batch_tokens=settings.batch_tokens,
            learning_rate=learning_rate(shape.non_embedding_parameters, settings.batch_tokens)
            if isinstance(rate, str)
            else rate,
            tokenizer=store.tokenizer,
        )
        for tokens in sorted(settings.tokens)
    ]
    warmup = warmup_steps(steps_of(specs[0]))
    per_token = shape.flops_per_token(len(store.id_bytes), settings.sequence_length)
    validated = {"languages": list(languages), "tokens": settings.validation_tokens}
    runs = tuple(
        PlannedRun(
            run_id=run_id(run_identity(spec, stores, warmup=warmup, order_tokens=order_tokens, validation=validated)),
            mixture=name,
            spec=spec,
            steps=steps_of(spec),
            flops=per_token * steps_of(spec) * spec.batch_tokens,
            repeats={},
        )
        for spec in specs
    )
    return Trunk(runs, warmup, order_tokens, languages)


def _with_repeats(trunk: Trunk, repeats: Mapping[str, float]) -> Trunk:
    runs = tuple(
        PlannedRun(
            run.run_id,
            run.mixture,
            run.spec,
            run.steps,
            run.flops,
            {source: epochs * run.spec.tokens / trunk.order_tokens for source, epochs in repeats.items()},
        )
        for run in trunk.runs
    )
    return Trunk(runs, trunk.warmup, trunk.order_tokens, trunk.languages)


def price(plan: Plan, *, workers: int | None = None, done: frozenset[str] = frozenset()) -> Price:
    """Price what is left of a plan, by trying a few steps of each size on this machine.

    Args:
        plan: The plan.
        workers: Runs trained at once; as many as there are cores unless named.
        done: Runs that need no training any more.
    """
    workers = workers or default_workers()
    settings = plan.settings
    labels = sorted(settings.sizes, key=lambda label: size(label).non_embedding_parameters)
    per_token = {
        label: size(label).flops_per_token(plan.vocabulary, settings.sequence_length) for label in settings.sizes
    }
    batch = min(
        settings.batch_tokens, max(1, CALIBRATION_TOKENS // settings.sequence_length) * settings.sequence_length
    )
    trials = [
        Trial(label, plan.vocabulary, settings.sequence_length, batch)
        for label in labels
        if per_token[label] * batch * CALIBRATION_STEPS <= CALIBRATION_FLOPS
    ] or [Trial(labels[0], plan.vocabulary, settings.sequence_length, settings.sequence_length)]
    timings: dict[str, Timing] = {}

    def keep(timing: Timing) -> None:
        timings[timing.size] = timing

    work(try_size, trials, workers, keep)
    largest = max(timings, key=lambda label: per_token[label])
    seconds = {
        label: timings[label].seconds_per_token
        if label in timings
        else timings[largest].seconds_per_token * per_token[label] / per_token[largest]
        for label in labels
    }
    overhead = max(timing.overhead_seconds for timing in timings.values())
    total = 0.0
    tokens = 0
    flops = 0.0
    for trunk in plan.trunks:
        left = trunk.steps_left(set(done)) * settings.batch_tokens
        label = trunk.runs[0].spec.size
        pending = sum(run.run_id not in done for run in trunk.runs)
        validated = pending * len(trunk.languages) * settings.validation_tokens
        tokens += left
        flops += left * per_token[label]
        # Validation only goes forward, which is a third of a training step's arithmetic.
        total += (overhead if pending else 0.0) + seconds[label] * (left + validated / 3)
    return Price(
        runs=sum(run.run_id not in done for run in plan.runs),
        tokens=tokens,
        tokens_alone=sum(run.steps * settings.batch_tokens for run in plan.runs if run.run_id not in done),
        flops=flops,
        minutes=total / 60 / min(workers, max(1, len(plan.trunks))),
        workers=workers,
        seconds_per_token=seconds,
        measured=tuple(label for label in labels if label in timings),
    )


@dataclass(frozen=True)
class Trial:
    """A size that is tried for a few steps."""

    size: str
    vocabulary: int
    sequence_length: int
    batch_tokens: int


@dataclass(frozen=True)
class Timing:
    """What a trial took."""

    size: str
    seconds_per_token: float
    overhead_seconds: float


def try_size(trial: Trial, note: Note) -> None:
    """Time a few steps of a size on random tokens, and note a `Timing`."""
    import numpy as np

    from training.recipe import train_run

    random = np.random.default_rng(0)
    rows = random.integers(0, trial.vocabulary, (64, trial.sequence_length + 1))
    spec = RunSpec(
        trial.size,
        trial.batch_tokens * CALIBRATION_STEPS,
        {},
        0,
        trial.sequence_length,
        trial.batch_tokens,
        1e-4,
        "",
    )
    moments: list[float] = []
    started = time.perf_counter()
    train_run(
        spec,
        vocabulary=trial.vocabulary,
        sequence=lambda index: rows[index % len(rows)],
        validation=(),
        on_step=lambda _: moments.append(time.perf_counter()),
    )
    whole = time.perf_counter() - started
    steady = moments[CALIBRATION_WARM_STEPS - 1 :]
    step = (steady[-1] - steady[0]) / (len(steady) - 1)
    note(Timing(trial.size, step / trial.batch_tokens, max(0.0, whole - CALIBRATION_STEPS * step)))


def sweep(
    settings: SweepSettings,
    tokens_dir: Path | str,
    out: Path | str,
    *,
    workers: int | None = None,
    command: str = "",
) -> Path:
    """Train a sweep and leave a `runs` artifact.

    A sweep that was stopped goes on with the runs that are not finished. One that is there already is left as it is.

    Args:
        settings: What to train.
        tokens_dir: A `tokens` artifact.
        out: The artifact's folder.
        workers: Runs trained at once; as many as there are cores unless named. Never changes a result.
        command: The command line that makes it again.

    Returns:
        The artifact's folder.

    Raises:
        BadInput: The plan cannot be carried out; nothing was trained.
        ContractFailed: The table of runs is not what its contract says.
    """
    out = Path(out)
    plan = plan_sweep(settings, tokens_dir)
    if (out / MANIFEST).is_file() and read_manifest(out, "runs")["fingerprint"] == fingerprint(plan.identity):
        say(f"{out}: this sweep is finished already; nothing to do")
        return out
    workers = workers or default_workers()
    with creating(out, "runs", plan.identity, command=command, resume=True) as draft:
        done = frozenset(run.run_id for run in plan.runs if read_record(draft.path, run.run_id) is not None)
        if len(done) < len(plan.runs):
            say(announcement(plan, price(plan, workers=workers, done=done), len(done)))
            _train(plan, draft.path, done, workers, command)
        records = [record for run in plan.runs if (record := read_record(draft.path, run.run_id)) is not None]
        tables = write_tables(draft.path, records)
        states = tables["runs.parquet"]["status"].to_pylist()
        draft.counts.update(
            runs=len(records),
            finished=states.count("finished"),
            diverged=states.count("diverged"),
            tokens=sum(run.steps * run.spec.batch_tokens for run in plan.runs),
            flops=sum(run.flops for run in plan.runs),
        )
    return out


def announcement(plan: Plan, cost: Price, done: int = 0) -> str:
    """Return a plan's price in a sentence."""
    kept = f" ({done} more are finished already)" if done else ""
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


def _train(plan: Plan, folder: Path, done: frozenset[str], workers: int, command: str) -> None:
    tasks = [
        TrunkTask(plan.tokens_dir, trunk, plan.settings, plan.vocabulary, plan.stores, done, folder, command)
        for trunk in plan.trunks
        if any(run.run_id not in done for run in trunk.runs)
    ]
    # The longest first: nothing is waited for at the end but short ones.
    tasks.sort(key=lambda task: -sum(run.flops for run in task.trunk.runs))
    total = sum(task.trunk.steps_left(set(done)) for task in tasks) * plan.settings.batch_tokens
    diverged: list[str] = []
    with progress(total=total, description="training", unit="tok") as bar:

        def keep(note: int | dict[str, Any]) -> None:
            if isinstance(note, int):
                bar.update(note)
                return
            write_record(folder, note)
            if note["run"]["status"] == "diverged":
                diverged.append(f"{note['run']['size']} on {note['run']['trained_on']}")

        work(train_trunk, tasks, workers, keep)
    if diverged:
        say(f"{len(diverged)} runs diverged and are recorded as such: {', '.join(diverged)}; try a lower learning_rate")


@dataclass(frozen=True)
class TrunkTask:
    """What a worker needs to train a trunk."""

    tokens_dir: Path
    trunk: Trunk
    settings: SweepSettings
    vocabulary: int
    stores: str
    done: frozenset[str]
    folder: Path
    command: str


def train_trunk(task: TrunkTask, note: Note) -> None:
    """Train the runs of a trunk that are not done; note tokens as they are trained on, and a record a run."""
    from training.evaluation import validation_set
    from training.recipe import Outcome, train_branches

    settings, trunk = task.settings, task.trunk
    pending = {run.spec.tokens: run for run in trunk.runs if run.run_id not in task.done}
    specs = tuple(run.spec for run in pending.values())
    order = plan_order(
        open_stores(task.tokens_dir, "train"),
        Allocation(specs[0].shares),
        trunk.order_tokens,
        settings.sequence_length,
        specs[0].seed,
        settings.max_epochs,
    )
    stores = open_stores(task.tokens_dir, "validation")
    validation = tuple(
        validation_set(stores[name], sequence_length=settings.sequence_length, wanted=settings.validation_tokens)
        for name in trunk.languages
    )

    def keep(spec: RunSpec, outcome: Outcome) -> None:
        run = pending[spec.tokens]
        note(
            {
                "run": run_row(
                    run.run_id,
                    spec,
                    outcome,
                    vocabulary=task.vocabulary,
                    repeats=run.repeats,
                    stores=task.stores,
                    command=task.command,
                ),
                "evaluations": list(outcome.evaluations),
                "translations": list(outcome.translations),
                "curve": list(outcome.curve),
            }
        )

    train_branches(
        specs,
        vocabulary=task.vocabulary,
        sequence=Shuffled(order, specs[0].seed).sequence,
        validation=validation,
        on_outcome=keep,
        warmup=trunk.warmup,
        log=task.folder / LOG,
        on_step=note,
    )


def run_row(
    run_id: str,
    spec: RunSpec,
    outcome: Any,
    *,
    vocabulary: int,
    repeats: Mapping[str, float],
    stores: str,
    command: str,
    world_size: int = 1,
) -> dict[str, Any]:
    """Return a run's row of `runs.parquet`.

    Args:
        run_id: Its name.
        spec: What it is.
        outcome: What came of it (`training.recipe.Outcome`).
        vocabulary: Token ids.
        repeats: Source to epochs.
        stores: Fingerprint of the stores it read.
        command: The command line that makes it again.
        world_size: Processes it was trained by.
    """
    shape = size(spec.size)
    trained = outcome.steps * spec.batch_tokens
    drawn = [source for source, share in spec.shares.items() if share > 0]
    part = trained / spec.tokens if spec.tokens else math.nan
    return {
        "run_id": run_id,
        "size": spec.size,
        "params_total": shape.total_parameters(vocabulary),
        "params_non_embedding": shape.non_embedding_parameters,
        "tokens": trained,
        "flops": shape.flops_per_token(vocabulary, spec.sequence_length) * trained,
        "shares": dict(spec.shares),
        "repeats": {source: epochs * part for source, epochs in repeats.items()},
        "trained_on": drawn[0] if len(drawn) == 1 else "mixture",
        "seed": spec.seed,
        "sequence_length": spec.sequence_length,
        "batch_tokens": spec.batch_tokens,
        "learning_rate": spec.learning_rate,
        "schedule": spec.schedule,
        "across_documents": spec.across_documents,
        "precision": outcome.precision,
        "steps": outcome.steps,
        "restarts": len(outcome.restarts),
        "final_train_loss_nats": outcome.final_train_loss_nats,
        "seconds": outcome.seconds,
        "step_seconds": outcome.step_seconds,
        "loader_seconds": outcome.loader_seconds,
        "world_size": world_size,
        "device": outcome.device,
        "torch": importlib.metadata.version("torch"),
        "torchtitan": importlib.metadata.version("torchtitan"),
        "tokenizer": spec.tokenizer,
        "stores": stores,
        "status": outcome.status,
        "command": command,
    }
