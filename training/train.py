"""One training run, kept with its model: from token stores or shards to a `runs` artifact with a checkpoint.

Start at `train`; `training.export` takes the model from there. What always holds: a run killed at any moment goes on
from its last checkpoint and ends with the same losses; the number of processes and how they share the work is layout,
and never part of a run's identity. Importing this module imports no torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quality.artifacts import check_place, creating, fingerprint, finished, read_manifest, write_atomically
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say
from training.allocation import Allocation, uniform
from training.checkpoints import check_last, check_seals, step_folder, step_folders
from training.evaluation import end_of_text
from training.hyperparameters import (
    SCHEDULE,
    SCHEDULES,
    VALIDATION_TOKENS,
    batch_size,
    run_id,
    run_identity,
    steps_of,
    warmup_steps,
)
from training.hyperparameters import (
    learning_rate as rate_of_size,
)
from training.launch import launch
from training.layout import Layout, layout_mistakes
from training.order import MAX_EPOCHS, Infeasible, plan_order
from training.plan import stores_fingerprint
from training.records import LOG, read_record, record_path, write_tables
from training.runs import RunSpec
from training.settings import FEWEST_STEPS
from training.shards import open_shards
from training.sizes import SIZES, size_mistake
from training.sizes import size as shape_of
from training.stores import TOKENIZER_FILE, open_stores
from training.task import CHECKPOINT, TrainTask, run_task
from training.translations import TRANSLATIONS_FILE, read_evaluation, write_translation_sets

MODEL_FILE = "model.json"


def train(
    data: Path | str,
    size: str,
    tokens: int,
    out: Path | str,
    *,
    allocation: Allocation | None = None,
    seed: int = 0,
    sequence_length: int | None = None,
    batch_tokens: int | None = None,
    learning_rate: float | None = None,
    schedule: str = SCHEDULE,
    across_documents: bool = True,
    float8: bool = False,
    validation_tokens: int = VALIDATION_TOKENS,
    evaluation: Path | str | None = None,
    max_epochs: float = MAX_EPOCHS,
    layout: Layout | None = None,
    threads: int = 1,
    compiled: bool | None = None,
    checkpoint_every: int = 500,
    replace: bool = False,
    command: str = "",
) -> Path:
    """Train one run and leave a `runs` artifact of one row, with the model's checkpoint beside it.

    Args:
        data: A `tokens` artifact (a mixture is planned on the stores) or `shards` (read as they were packed).
        size: A size label.
        tokens: Training tokens; rounded to whole batches.
        out: The artifact's folder.
        allocation: Shares by source, for token stores; all languages alike unless named.
        seed: Seeds initial weights and order of the data.
        sequence_length: Tokens a sequence; 2,048 unless named. Shards have their own.
        batch_tokens: Tokens an optimizer step; by size unless named, or less where the run would have under 100 steps.
        learning_rate: Peak rate; by size unless named.
        schedule: How the rate goes over the steps; one of `training.hyperparameters.SCHEDULES`.
        across_documents: Whether tokens attend to the documents before theirs in the same sequence.
        float8: Whether matrices are multiplied in 8 bits.
        validation_tokens: Tokens of each language that the model is validated on.
        evaluation: An `evaluation` artifact, on whose translations the model is scored as well.
        max_epochs: How often a source may be read.
        layout: How the run is spread over processes.
        threads: CPU threads of each process.
        compiled: Whether the model is compiled; on accelerators only unless named.
        checkpoint_every: Steps between checkpoints that a killed run goes on from.
        replace: Runs of something else that are there already may be replaced.
        command: The command line that makes it again.

    Returns:
        The artifact's folder.

    Raises:
        Stale: Runs of something else are there, and `replace` does not allow it.
        BadInput: A number is out of range, a store is missing, or more tokens are asked for than there are.
    """
    out, layout = Path(out), layout or Layout()
    check_place(out, "runs")
    source = _opened(Path(data), size, tokens, allocation, seed, sequence_length, batch_tokens, max_epochs)
    spec = RunSpec(
        size=size,
        tokens=source.tokens,
        shares=source.shares,
        seed=seed,
        sequence_length=source.sequence_length,
        batch_tokens=source.batch_tokens,
        learning_rate=learning_rate or rate_of_size(shape_of(size).non_embedding_parameters, source.batch_tokens),
        tokenizer=source.tokenizer,
        schedule=schedule,
        across_documents=across_documents,
        float8=float8,
    )
    mistakes = layout_mistakes(spec, source.vocabulary, layout)
    if validation_tokens < source.sequence_length:
        mistakes.append(Mistake("validation_tokens", f"{validation_tokens} is less than a sequence; raise it"))
    if schedule not in SCHEDULES:
        mistakes.append(Mistake("schedule", f"{schedule!r} is none of {', '.join(SCHEDULES)}"))
    if mistakes:
        raise BadInput(mistakes)
    translations = (
        read_evaluation(
            evaluation,
            Path(data) / TOKENIZER_FILE,
            end_of_text=source.end_of_text,
            sequence_length=source.sequence_length,
        )
        if evaluation is not None
        else ()
    )
    warmup = warmup_steps(steps_of(spec))
    identity = run_identity(
        spec,
        source.stores,
        warmup=warmup,
        order_tokens=source.order_tokens,
        validation={"languages": list(source.languages), "tokens": validation_tokens},
        **({"evaluation": read_manifest(evaluation)["fingerprint"]} if evaluation is not None else {}),
    )
    name = run_id(identity)
    if finished(out, "runs", identity, replace=replace):
        say(f"{out}: this run is finished already; nothing to do")
        return out
    with creating(out, "runs", identity, command=command, resume=True) as draft:
        task = TrainTask(
            data=str(Path(data).absolute()),
            spec=spec,
            run_id=name,
            order_tokens=source.order_tokens,
            max_epochs=max_epochs,
            languages=source.languages,
            validation_tokens=validation_tokens,
            vocabulary=source.vocabulary,
            stores=source.stores,
            warmup=warmup,
            layout=layout,
            threads=threads,
            compiled=compiled,
            checkpoint_every=checkpoint_every,
            folder=str(draft.path.absolute()),
            command=command,
        )
        if read_record(draft.path, name) is None:
            shape = shape_of(size)
            flops = shape.flops_per_token(source.vocabulary, spec.sequence_length) * spec.tokens
            say(
                f"{size}: {shape.total_parameters(source.vocabulary):,} parameters"
                f" ({shape.non_embedding_parameters:,} without embeddings), {steps_of(spec):,} steps of"
                f" {spec.batch_tokens:,} tokens, learning rate {spec.learning_rate:.4g}, {flops:.2e} FLOPs"
            )
            check_last(draft.path / CHECKPOINT)
            if translations:
                write_translation_sets(translations, draft.path / TRANSLATIONS_FILE)
            with progress(total=spec.tokens, description=f"training {size}", unit="tok") as bar:
                if layout.processes == 1:
                    run_task(task, bar.update)
                else:
                    launch(task, bar.update)
        record = read_record(draft.path, name)
        if record is None:
            raise RuntimeError(f"the run left no record; {draft.path / LOG} may say why")
        _check_final(draft.path, record)
        write_tables(draft.path, [record])
        (draft.path / TRANSLATIONS_FILE).unlink(missing_ok=True)
        _keep_last(draft.path / CHECKPOINT)
        shutil.copy(Path(data) / TOKENIZER_FILE, draft.path / TOKENIZER_FILE)
        model = {
            "size": size,
            "vocabulary": source.vocabulary,
            "sequence_length": spec.sequence_length,
            "end_of_text": source.end_of_text,
            "tokenizer": spec.tokenizer,
            **asdict(shape_of(size)),
        }
        write_atomically(draft.path / MODEL_FILE, json.dumps(model, indent=2) + "\n")
        draft.counts.update(
            runs=1,
            finished=int(record["run"]["status"] == "finished"),
            diverged=int(record["run"]["status"] == "diverged"),
            tokens=record["run"]["tokens"],
            flops=record["run"]["flops"],
        )
    return out


def _check_final(folder: Path, record: Mapping[str, Any]) -> None:
    """Check the model of a run that has a record, for it may have been killed, and its files damaged, since then."""
    run = record["run"]
    if run["status"] != "finished":
        return  # what diverged stops at any step, and keeps what checkpoints it had
    final = step_folder(folder / CHECKPOINT, run["steps"])
    check_seals(
        final,
        f"remove {final} and {record_path(folder, run['run_id'])}, and the same command trains on from the checkpoint"
        " before it",
    )


def _keep_last(checkpoints: Path) -> None:
    for old in step_folders(checkpoints)[:-1]:
        shutil.rmtree(old)


@dataclass(frozen=True)
class Source:
    """What a run reads, and what follows from it.

    Args:
        tokens: Training tokens, in whole batches.
        order_tokens: Tokens that the order is planned for.
        sequence_length: Tokens a sequence.
        batch_tokens: Tokens an optimizer step.
        shares: Source to fraction of the tokens.
        languages: Languages that there is validation text of.
        vocabulary: Token ids.
        tokenizer: SHA-256 of the tokenizer file.
        end_of_text: The token that ends a document.
        stores: Fingerprint of what is read.
    """

    tokens: int
    order_tokens: int
    sequence_length: int
    batch_tokens: int
    shares: Mapping[str, float]
    languages: tuple[str, ...]
    vocabulary: int
    tokenizer: str
    end_of_text: int
    stores: str


def _opened(
    data: Path,
    size: str,
    tokens: int,
    allocation: Allocation | None,
    seed: int,
    sequence_length: int | None,
    batch_tokens: int | None,
    max_epochs: float,
) -> Source:
    kind = read_manifest(data).get("kind")
    mistakes = [Mistake("size", why) for why in [size_mistake(size)] if why]
    if kind == "shards":
        return _from_shards(data, size, tokens, allocation, sequence_length, batch_tokens, mistakes)
    if kind != "tokens":
        bad_input(data, f"holds a {kind!r}; give a `tokens` or `shards` artifact")
    length = sequence_length or 2048
    train, validation = open_stores(data, "train", verify=True), open_stores(data, "validation", verify=True)
    allocation = allocation or uniform([name for name in LANGUAGES if name in train])
    batch, whole = _batches(size, tokens, length, batch_tokens, mistakes)
    if allocation.stages:
        mistakes.append(Mistake("allocation", "has stages; pack it with `polymix pack` and train on the shards"))
    try:
        if not mistakes:
            plan_order(train, allocation, whole, length, seed, max_epochs)
    except Infeasible as error:
        mistakes += [Mistake(m.where, f"{m.what}; lower --tokens or raise --max-epochs") for m in error.mistakes]
    if mistakes:
        raise BadInput(mistakes)
    languages = tuple(name for name in LANGUAGES if name in validation)
    drawn = sorted(source for source, share in allocation.shares.items() if share > 0)
    store = train[drawn[0]]
    stores = stores_fingerprint([train[name] for name in drawn] + [validation[name] for name in languages])
    shares = {source: allocation.shares[source] for source in drawn}
    return Source(
        tokens=whole,
        order_tokens=whole,
        sequence_length=length,
        batch_tokens=batch,
        shares=shares,
        languages=languages,
        vocabulary=len(store.id_bytes),
        tokenizer=store.tokenizer,
        end_of_text=end_of_text(store),
        stores=stores,
    )


def _from_shards(
    data: Path,
    size: str,
    tokens: int,
    allocation: Allocation | None,
    sequence_length: int | None,
    batch_tokens: int | None,
    mistakes: list[Mistake],
) -> Source:
    shards, validation = open_shards(data, verify=True), open_stores(data, "validation", verify=True)
    length = shards.sequence_length
    if allocation is not None:
        mistakes.append(Mistake("allocation", "shards were packed to one already; leave it out, or give token stores"))
    if sequence_length not in (None, length):
        mistakes.append(Mistake("sequence_length", f"{sequence_length}, but the shards were packed with {length}"))
    batch, whole = _batches(size, tokens, length, batch_tokens, mistakes)
    if whole > len(shards) * length:
        mistakes.append(
            Mistake("tokens", f"{whole} wanted, the shards hold {len(shards) * length}; pack more or train on fewer")
        )
    if mistakes:
        raise BadInput(mistakes)
    total = sum(shards.tokens.values())
    languages = tuple(name for name in LANGUAGES if name in validation)
    manifest = shards.manifest
    stores = fingerprint(
        [[shard.sha256 for shard in manifest.shards], stores_fingerprint([validation[name] for name in languages])]
    )
    return Source(
        tokens=whole,
        order_tokens=len(shards) * length,
        sequence_length=length,
        batch_tokens=batch,
        shares={source: count / total for source, count in shards.tokens.items() if count},
        languages=languages,
        vocabulary=len(next(iter(validation.values())).id_bytes),
        tokenizer=shards.tokenizer,
        end_of_text=end_of_text(next(iter(validation.values()))),
        stores=stores,
    )


def _batches(size: str, tokens: int, length: int, batch_tokens: int | None, mistakes: list[Mistake]) -> tuple[int, int]:
    """Return tokens a step and tokens in whole steps."""
    by_size = batch_size(SIZES[size].non_embedding_parameters, tokens, length) if size in SIZES else length
    batch = batch_tokens or by_size
    if batch % length:
        nearest = length * max(1, round(batch / length))
        mistakes.append(
            Mistake("batch_tokens", f"{batch} is not a whole number of sequences of {length}; {nearest} is")
        )
    if tokens < FEWEST_STEPS * batch:
        mistakes.append(
            Mistake(
                "tokens",
                f"{tokens} is fewer than {FEWEST_STEPS} steps of {batch} tokens; train on {FEWEST_STEPS * batch} or"
                " more, or lower batch_tokens or sequence_length",
            )
        )
    return batch, max(1, round(tokens / batch)) * batch
