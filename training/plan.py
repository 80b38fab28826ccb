"""What a sweep would train, run by run, before anything is trained: checked against the token stores.

Start at `plan_sweep`. What always holds: a plan is a function of settings and token stores alone; a request that the
stores cannot supply is refused, with every mistake in it. Runs that differ by their budget alone share a trunk
(`training.recipe.train_branches`), so a budget costs only its decay beyond the next smaller one's.

Importing this module imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from quality.artifacts import fingerprint, read_manifest
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake
from quality.progress import say
from training.allocation import Allocation
from training.evaluation import end_of_text
from training.hyperparameters import (
    RECIPE,
    SCHEDULE,
    decay_starts,
    learning_rate,
    run_id,
    run_identity,
    steps_of,
    warmup_steps,
)
from training.order import Infeasible, plan_order
from training.runs import RunSpec
from training.settings import Pairing, SweepSettings
from training.sizes import size
from training.stores import TOKENIZER_FILE, TokenStore, open_stores
from training.translations import TranslationSet, read_evaluation


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Args:
        run_id: Its name.
        mixture: The language it is trained on alone, or the mixture's name.
        pairing: How the halves of its pairs are trained on, or "" where it has no pairs.
        spec: What it is.
        steps: Optimizer steps.
        flops: Training FLOPs by formula, as if it were trained alone.
        repeats: Source to epochs.
    """

    run_id: str
    mixture: str
    pairing: Pairing | Literal[""]
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
            "pairing": self.pairing,
            "size": spec.size,
            "params_non_embedding": size(spec.size).non_embedding_parameters,
            "tokens": self.steps * spec.batch_tokens,
            "batch_tokens": spec.batch_tokens,
            "steps": self.steps,
            "schedule": spec.schedule,
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
        pairing: How the halves of their pairs are trained on, or "" where they have no pairs.
        warmup: Steps in which the learning rate rises.
        order_tokens: Tokens that their common order is planned for: those of the longest.
        languages: What they are validated on.
    """

    runs: tuple[PlannedRun, ...]
    pairing: Pairing | Literal[""]
    warmup: int
    order_tokens: int
    languages: tuple[str, ...]

    @property
    def size(self) -> str:
        """Return the size label of its runs."""
        return self.runs[0].spec.size

    @property
    def batch_tokens(self) -> int:
        """Return the tokens of an optimizer step of its runs."""
        return self.runs[0].spec.batch_tokens

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
        shuffled_dir: Those in which the halves of pairs were parted, where there are any.
        vocabulary: Token ids.
        stores: Fingerprint of the stores it reads.
        trunks: What is trained, in order.
        translations: What the translations of each run are scored on; none without an evaluation set.
        evaluation: Fingerprint of that set, or "".
    """

    settings: SweepSettings
    tokens_dir: Path
    shuffled_dir: Path | None
    vocabulary: int
    stores: str
    trunks: tuple[Trunk, ...]
    translations: tuple[TranslationSet, ...] = ()
    evaluation: str = ""

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
            **({"evaluation": self.evaluation} if self.evaluation else {}),
        }


def stores_fingerprint(stores: list[TokenStore]) -> str:
    """Return the fingerprint of token stores: their checksums, by source and split."""
    rows = [json.loads((store.folder / "store.json").read_text()) for store in stores]
    return fingerprint(sorted([row["source"], row["split"], row["sha256"], row["tokenizer"]] for row in rows))


def plan_sweep(
    settings: SweepSettings,
    tokens_dir: Path | str,
    shuffled_dir: Path | str | None = None,
    evaluation: Path | str | None = None,
) -> Plan:
    """Plan every run of a sweep.

    Args:
        settings: What is asked for.
        tokens_dir: A `tokens` artifact.
        shuffled_dir: Another one of the same corpus, pairs and tokenizer, in which the halves of pairs were parted.
        evaluation: An `evaluation` artifact, on whose translations every run is scored as well.

    Raises:
        BadInput: A language or source has no store, or a budget is more than a store can supply; all are listed.
    """
    tokens_dir = Path(tokens_dir)
    read_manifest(tokens_dir, "tokens")
    train = open_stores(tokens_dir, "train", verify=True)
    validation = open_stores(tokens_dir, "validation", verify=True)
    some_store = next(iter(train.values()))
    parted: dict[str, TokenStore] = {}
    mistakes: list[Mistake] = []
    if shuffled_dir is not None:
        shuffled_dir = Path(shuffled_dir)
        read_manifest(shuffled_dir, "tokens")
        parted = _pairs_of(open_stores(shuffled_dir, "train", some_store.tokenizer, verify=True))
        mistakes += _other_code(train, parted)
    if "shuffled" in settings.pairing and shuffled_dir is None:
        mistakes.append(
            Mistake(
                "pairing",
                "shuffled pairs need token stores whose halves were parted; make them with `polymix pack --pair-style"
                " shuffled` and name them with --shuffled-dir",
            )
        )
    translations: tuple[TranslationSet, ...] = ()
    try:
        if evaluation is not None:
            translations = read_evaluation(
                evaluation,
                tokens_dir / TOKENIZER_FILE,
                end_of_text=end_of_text(some_store),
                sequence_length=settings.sequence_length,
            )
    except BadInput as error:
        mistakes += error.mistakes
    mixtures = settings.all_mixtures(tuple(name for name in LANGUAGES if name in train))
    mistakes += _missing(tokens_dir, mixtures, train, validation)
    if mistakes:
        raise BadInput(mistakes)
    evaluated = tuple(name for name in LANGUAGES if name in validation)
    variants: list[tuple[str, Pairing | Literal[""], dict[str, TokenStore]]] = []
    named: dict[tuple[tuple[str, float], ...], str] = {}
    for name, shares in mixtures.items():
        same = named.setdefault(tuple(sorted((source, share) for source, share in shares.items() if share > 0)), name)
        if same != name:
            say(f"{name}: has the shares of {same}, and is trained once, as {same}")
            continue
        if not any(source.startswith("pair:") for source in shares):
            variants.append((name, "", train))
            continue
        for pairing in settings.pairing:
            variants.append((name, pairing, train if pairing == "parallel" else train | parted))
    # Validated on the same tokens, however pairs are trained on.
    held_out = [validation[name] for name in evaluated]
    drawn = {
        (store.source, store.folder): store
        for name, _, stores in variants
        for source in mixtures[name]
        for store in [stores[source]]
    }
    stores = stores_fingerprint([*drawn.values(), *held_out])
    trunks: list[Trunk] = []
    longest = {label: _whole_batches(max(settings.tokens), settings.batch_of(label)) for label in settings.sizes}
    scored = read_manifest(evaluation)["fingerprint"] if evaluation is not None else ""
    for name, pairing, sources in variants:
        shares = mixtures[name]
        try:
            orders = {
                tokens: plan_order(
                    sources, Allocation(shares), tokens, settings.sequence_length, settings.seed, settings.max_epochs
                )
                for tokens in sorted(set(longest.values()), reverse=True)
            }
        except Infeasible as error:
            mistakes += [
                Mistake(f"tokens, on {name}: {m.where}", f"{m.what}; lower tokens, or raise max_epochs")
                for m in error.mistakes
            ]
            continue
        targets = evaluated if settings.validate_on == "all" else tuple(_languages_of(shares, evaluated))
        read = stores if pairing != "shuffled" else fingerprint([stores, pairing])
        for label in settings.sizes:
            for factor in settings.rate_factors:
                for seed in range(settings.seed, settings.seed + settings.seeds):
                    wanted = _Wanted(name, pairing, shares, label, factor, seed, longest[label], targets, read, scored)
                    trunks += [
                        _with_repeats(trunk, orders[longest[label]].repeats)
                        for trunk in _trunks(settings, wanted, some_store)
                    ]
    if mistakes:
        raise BadInput(dict.fromkeys(mistakes))
    return Plan(
        settings, tokens_dir, shuffled_dir, len(some_store.id_bytes), stores, tuple(trunks), translations, scored
    )


def training_stores(tokens_dir: Path, shuffled_dir: Path | None, pairing: str) -> dict[str, TokenStore]:
    """Return the stores that a trunk is trained on."""
    stores = open_stores(tokens_dir, "train")
    if pairing == "shuffled" and shuffled_dir is not None:
        stores |= _pairs_of(open_stores(shuffled_dir, "train"))
    return stores


def _pairs_of(stores: Mapping[str, TokenStore]) -> dict[str, TokenStore]:
    return {source: store for source, store in stores.items() if source.startswith("pair:")}


def _other_code(parallel: Mapping[str, TokenStore], parted: Mapping[str, TokenStore]) -> list[Mistake]:
    """Return the pairs whose two renderings hold other code, so that comparing them would compare two corpora."""
    mistakes: list[Mistake] = []
    for source, store in _pairs_of(parallel).items():
        if source not in parted:
            mistakes.append(Mistake(f"--shuffled-dir: {source}", "no training store there; pack the same pairs"))
            continue
        held = [
            json.loads((one.folder / "store.json").read_text()).get("code_tokens") for one in (store, parted[source])
        ]
        if held[0] != held[1]:
            mistakes.append(
                Mistake(
                    f"--shuffled-dir: {source}",
                    f"{held[1]} tokens of code there, {held[0]} in --tokens-dir; pack the same pairs in one direction",
                )
            )
    return mistakes


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


def _whole_batches(tokens: int, batch_tokens: int) -> int:
    return max(1, round(tokens / batch_tokens)) * batch_tokens


@dataclass(frozen=True)
class _Wanted:
    """Runs of one mixture, size, rate and seed.

    Args:
        mixture: The mixture's name.
        pairing: How the halves of its pairs are trained on, or "" where it has none.
        shares: Source to fraction of the tokens.
        size: The size label.
        rate_factor: What the learning rate is multiplied by.
        seed: Of weights and order.
        order_tokens: Tokens that the order is planned for: those of the longest run.
        languages: What they are validated on.
        stores: Fingerprint of what they read.
        evaluation: Fingerprint of the evaluation set that they are scored on, or "".
    """

    mixture: str
    pairing: Pairing | Literal[""]
    shares: Mapping[str, float]
    size: str
    rate_factor: float
    seed: int
    order_tokens: int
    languages: tuple[str, ...]
    stores: str
    evaluation: str


def _trunks(settings: SweepSettings, wanted: _Wanted, store: TokenStore) -> list[Trunk]:
    """Return one trunk of all budgets, or, where the schedule has no stable phase to share, one for each."""
    shape = size(wanted.size)
    batch = settings.batch_of(wanted.size)
    rate = settings.learning_rate
    if isinstance(rate, str):
        rate = learning_rate(shape.non_embedding_parameters, batch)
    specs = [
        RunSpec(
            size=wanted.size,
            tokens=_whole_batches(tokens, batch),
            shares=dict(wanted.shares),
            seed=wanted.seed,
            sequence_length=settings.sequence_length,
            batch_tokens=batch,
            learning_rate=rate * wanted.rate_factor,
            tokenizer=store.tokenizer,
            schedule=settings.schedule,
            across_documents=settings.across_documents,
            float8=settings.float8,
        )
        for tokens in sorted(settings.tokens)
    ]
    shared = [specs] if settings.schedule == SCHEDULE else [[spec] for spec in specs]
    per_token = shape.flops_per_token(len(store.id_bytes), settings.sequence_length)
    depends: dict[str, Any] = {
        "order_tokens": wanted.order_tokens,
        "validation": {"languages": list(wanted.languages), "tokens": settings.validation_tokens},
        **({"evaluation": wanted.evaluation} if wanted.evaluation else {}),
    }
    trunks: list[Trunk] = []
    for together in shared:
        warmup = warmup_steps(steps_of(together[0]))
        runs = tuple(
            PlannedRun(
                run_id=run_id(run_identity(spec, wanted.stores, warmup=warmup, **depends)),
                mixture=wanted.mixture,
                pairing=wanted.pairing,
                spec=spec,
                steps=steps_of(spec),
                flops=per_token * steps_of(spec) * spec.batch_tokens,
                repeats={},
            )
            for spec in together
        )
        trunks.append(Trunk(runs, wanted.pairing, warmup, wanted.order_tokens, wanted.languages))
    return trunks


def _with_repeats(trunk: Trunk, repeats: Mapping[str, float]) -> Trunk:
    runs = (
        replace(run, repeats={source: n * run.spec.tokens / trunk.order_tokens for source, n in repeats.items()})
        for run in trunk.runs
    )
    return replace(trunk, runs=tuple(runs))
