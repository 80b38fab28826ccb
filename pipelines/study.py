"""The noun `Study`: all that defines an experiment, read from one TOML file, and nothing that does not.

A study names its sources by name and content digest, its languages, and the settings of each stage; each stage's
settings model is owned by the package that uses it. Paths, hardware and worker counts are options of the command line
and never part of a study. `read_study` lists every mistake in the file at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from analysis.allocation_inputs import DEGENERATE, no_decision, wrong_prior_weight, wrong_stages
from analysis.laws import LAWS, laws_that_need
from parallel_mining.evaluation import EvaluationSettings
from parallel_mining.mine import MiningSettings
from pipelines.corpus_settings import CorpusSettings
from pipelines.pack import PackSettings
from pipelines.sources import Source
from pipelines.tokens import TokenSettings
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import SHARES_SUM_TOLERANCE, Allocation, Stage, source_mistake, staged
from training.settings import Count, SweepSettings


class StageSettings(BaseModel):
    """A part of a curriculum.

    Args:
        until_tokens: Tokens packed in all when it ends.
        shares: Source to fraction within it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    until_tokens: Count
    shares: Mapping[str, float]


class ShardSettings(PackSettings):
    """What a turn packs.

    Args:
        tokens: Tokens in all.
        shares: The allocation of turn 0; empty for the same share of each language, beside `pair_share`.
        stages: A curriculum instead, whose last stage ends at `tokens` or later.
        pair_share: The fraction that goes to parallel documents, spread over the language pairs by what was proved of
            each; 0 for none. Held fixed: the laws say nothing of it yet.
    """

    tokens: Count
    shares: Mapping[str, float] = Field(default_factory=dict[str, float])
    stages: tuple[StageSettings, ...] = ()
    pair_share: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("shares")
    @classmethod
    def _shares_of_sources(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        try:
            return Allocation(value).shares if value else value
        except BadInput as error:
            raise ValueError("; ".join(str(mistake) for mistake in error.mistakes)) from error

    @model_validator(mode="after")
    def _one_allocation(self) -> ShardSettings:
        wrong: list[str] = []
        if self.shares and self.stages:
            wrong.append("shares and stages are both given; the stages have shares of their own")
        if self.pair_share and (self.shares or self.stages):
            wrong.append("pair_share goes with the same share of each language; give pairs their place in the shares")
        if self.stages:
            try:
                allocation = self.allocation()
                if allocation is not None:
                    allocation.parts(self.tokens)
            except BadInput as error:
                wrong += [str(mistake) for mistake in error.mistakes]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def allocation(self) -> Allocation | None:
        """Return the allocation that is stated, or None for the same share of each language.

        Raises:
            BadInput: Stages do not follow each other.
        """
        if self.stages:
            return staged([Stage(one.until_tokens, one.shares) for one in self.stages])
        return Allocation(self.shares) if self.shares else None

    @property
    def sources(self) -> frozenset[str]:
        """Return the sources that are named."""
        return frozenset({*self.shares, *(source for one in self.stages for source in one.shares)})


TURN_READS = ("shares", "target")
"""What a turn knows of runs beside N, D and the loss (`Law.needs`)."""


class FitSettings(BaseModel):
    """Which law is fitted to the runs of each language.

    Args:
        law: A name in the registry of laws. A law of a language's own N and D is fitted to the runs on that language
            alone; one that reads the shares of a mixture to all runs on languages, for each language's loss.
        against: Other laws, fitted to the same runs where there are runs enough; they say what they make of the
            allocation that the law leads to.
        loss: `bits_per_byte` or `loss_nats`.
        params: `params_non_embedding` or `params_total`.
        bootstrap: Resamples.
        seed: Decides the resamples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    law: str = "chinchilla"
    against: tuple[str, ...] = ("skaling",)
    loss: Literal["bits_per_byte", "loss_nats"] = "bits_per_byte"
    params: Literal["params_non_embedding", "params_total"] = "params_non_embedding"
    bootstrap: int = Field(default=200, ge=0)
    seed: int = Field(default=0, ge=0)

    @field_validator("law")
    @classmethod
    def _known_law(cls, value: str) -> str:
        return _known((value,))[0]

    @field_validator("against")
    @classmethod
    def _known_laws(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return _known(values)

    @property
    def mixture_laws(self) -> tuple[str, ...]:
        """Return those of the laws that read the shares of mixtures."""
        return tuple(name for name in (self.law, *self.against) if "shares" in LAWS[name].needs)

    @model_validator(mode="after")
    def _not_itself(self) -> FitSettings:
        if self.law in self.against or len(set(self.against)) < len(self.against):
            raise ValueError(f"against: name laws other than {self.law}, each once")
        return self


def _known(names: Sequence[str]) -> tuple[str, ...]:
    usable = ", ".join(name for name in laws_that_need(*TURN_READS) if name != DEGENERATE)
    wrong = [f"{name!r} is not a law; known: {usable}" for name in names if name not in LAWS]
    wrong += [why for name in names if name in LAWS and (why := no_decision(name, *TURN_READS))]
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(names)


class AllocationSettings(BaseModel):
    """The budget that is to be allocated to the languages.

    Args:
        tokens: Tokens in all.
        params: Parameters of the model they are for.
        max_epochs: How often a language's tokens may be repeated.
        weights: Weight of each language's loss in the mean; empty for equal ones.
        floors: Least shares of languages.
        fixed: Shares that are settled, of languages, of pairs or of texts.
        parallel_share: Share of parallel documents, spread over the pairs by their tokens.
        stages: A curriculum: where its stages end, as fractions of the budget.
        transfer: Whether what languages gain from each other (tau, fitted to the sweep's mixtures) enters the laws.
        prior: Shares to stay near to: `uniform`, or one for each language; none by default.
        prior_weight: Loss that one nat of Kullback-Leibler divergence from the prior is worth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tokens: Count
    params: Count
    max_epochs: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    weights: Mapping[str, float] = Field(default_factory=dict[str, float])
    floors: Mapping[str, float] = Field(default_factory=dict[str, float])
    fixed: Mapping[str, float] = Field(default_factory=dict[str, float])
    parallel_share: float = Field(default=0.0, ge=0, lt=1)
    stages: tuple[float, ...] = ()
    transfer: bool = False
    prior: Literal["uniform"] | Mapping[str, float] | None = None
    prior_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _sound(self) -> AllocationSettings:
        wrong = [f"{mistake.where.removeprefix('--')}: {mistake.what}" for mistake in wrong_stages(self.stages)]
        wrong += [
            f"{name}.{source}: {share!r} is not a fraction between 0 and 1"
            for name, shares in (("floors", self.floors), ("fixed", self.fixed))
            for source, share in shares.items()
            if not 0 < share < 1
        ]
        wrong += [f"fixed.{source}: {why}" for source in self.fixed if (why := source_mistake(source))]
        wrong += [f"floors.{name}: is fixed as well; give one of the two" for name in self.floors if name in self.fixed]
        given = self.prior is not None
        wrong += [str(mistake) for mistake in wrong_prior_weight(self.prior_weight, given)]
        if isinstance(self.prior, Mapping):
            wrong += [
                f"prior.{name}: {x!r} is not a fraction above 0" for name, x in self.prior.items() if not 0 < x < 1
            ]
            if not abs((total := sum(self.prior.values())) - 1) <= SHARES_SUM_TOLERANCE:
                wrong.append(f"prior: sums to {total:.6g}, not 1; divide each share by the sum")
        if self.parallel_share and any(source.startswith("pair:") for source in self.fixed):
            wrong.append("parallel_share: the pairs are fixed one by one already; give one of the two")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class TextSource(BaseModel):
    """One `[[texts]]` entry of a study: natural language, which the source `text:NAME` stands for.

    Args:
        name: What it is called.
        spec: Where it is: Parquet or JSON Lines with a column `text`, or a folder of either.
        sha256: The checksum that its file must have, or of the folder's files, as `polymix turn` tells it. Empty for
            none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    spec: str = Field(min_length=1)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class Study(BaseModel):
    """An experiment.

    Args:
        name: A short word; the folder below the store.
        languages: Language ids the corpus is made of.
        pivot: The language that every parallel pair has on its left side.
        seed: The seed of every stage that does not set its own.
        sources: Where the code comes from.
        texts: Natural language beside it.
        corpus: Filters, licences, duplicates, splits.
        mining: Candidates, cases and verdicts of parallel pairs.
        tokens: The tokenizer.
        shards: The allocation that turn 0 packs, and how many tokens of it.
        sweep: The training runs.
        fit: The law, and its bootstrap.
        allocation: The budget that is to be allocated.
        evaluation: Translation tasks of held-out pairs, on which every run is scored as well; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    languages: tuple[str, ...] = Field(min_length=1)
    pivot: str
    seed: int = Field(ge=0, le=2**31 - 1)
    sources: tuple[Source, ...] = Field(min_length=1)
    texts: tuple[TextSource, ...] = ()
    corpus: CorpusSettings
    mining: MiningSettings
    tokens: TokenSettings
    shards: ShardSettings
    sweep: SweepSettings
    fit: FitSettings
    allocation: AllocationSettings
    evaluation: EvaluationSettings | None = None

    @property
    def parted(self) -> bool:
        """Return whether pairs are trained on with their halves parted, too."""
        return "shuffled" in self.sweep.pairing

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        wrong = [
            f"{name!r} is not in the registry ({', '.join(LANGUAGES)})"
            for name in self.languages
            if name not in LANGUAGES
        ]
        if self.pivot not in self.languages:
            wrong.append(f"the pivot {self.pivot!r} is not one of the study's languages")
        prior = self.allocation.prior if isinstance(self.allocation.prior, Mapping) else {}
        wrong += [
            f"allocation.{name} names {', '.join(sorted(given))}; name each of the study's languages, or none"
            for name, given in (("weights", self.allocation.weights), ("prior", prior))
            if given and set(given) != set(self.languages)
        ]
        wrong += [
            f"allocation.floors.{name} is not one of the study's languages"
            for name in self.allocation.floors
            if name not in self.languages
        ]
        known = {f"text:{text.name}" for text in self.texts}
        used = {
            "shards": self.shards.sources,
            "allocation.fixed": self.allocation.fixed,
            **{f"sweep.mixtures.{name}": shares for name, shares in self.sweep.mixtures.items()},
        }
        wrong += [
            f"{where} names {source}, but there is no [[texts]] entry of that name"
            for where, sources in used.items()
            for source in sorted(sources)
            if source.startswith("text:") and source not in known
        ]
        wrong += [
            f"allocation.fixed.{source} is not of the study's languages"
            for source in self.allocation.fixed
            if not source.startswith("text:")
            and not source_mistake(source)
            and not set(source.removeprefix("pair:").split("-")) <= set(self.languages)
        ]
        mixing = self.sweep.bilingual or self.sweep.uniform or self.sweep.mixtures
        wrong += [
            f"{what} needs runs on mixtures; give the sweep `bilingual`, `uniform` or mixtures"
            for what, wanted in (
                ("allocation.transfer", self.allocation.transfer),
                *((f"fit: {name}", True) for name in self.fit.mixture_laws),
            )
            if wanted and not mixing
        ]
        if self.allocation.transfer and self.fit.law in self.fit.mixture_laws:
            wrong.append(
                f"allocation.transfer is for laws of a language's own tokens; {self.fit.law} reads the whole mixture"
            )
        if self.parted and not any(
            source.startswith("pair:") for shares in self.sweep.mixtures.values() for source in shares
        ):
            wrong.append(
                "sweep.pairing compares ways of rendering pairs, but no mixture of the sweep has any; add one, such as"
                ' [sweep.mixtures.paired] with python = 0.5 and "pair:python-go" = 0.5'
            )
        if self.parted and self.tokens.pair_style == "shuffled":
            wrong.append(
                "tokens.pair_style is `shuffled`, so that there is nothing parallel to compare with; a sweep with"
                ' pairing = ["parallel", "shuffled"] parts the halves itself'
            )
        names = [*(source.label for source in self.sources), *(text.name for text in self.texts)]
        wrong += [f"two sources are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


STAGE_TABLES = ("corpus", "mining", "tokens", "shards", "sweep", "fit", "allocation")


def read_study(path: Path | str) -> Study:
    """Read and check a study file.

    Raises:
        BadInput: The file is missing, is not TOML, or has mistakes; all are listed, each with its field.
    """
    path = Path(path)
    if not path.is_file():
        bad_input(path, "no such file; `polymix demo --write-study FILE` writes one to start from")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        bad_input(path, f"not TOML: {error}")
    try:
        # By way of JSON, because strict mode takes an array for a tuple there.
        return Study.model_validate_json(json.dumps(_completed(raw), default=str))
    except ValidationError as error:
        raise BadInput(Mistake(f"{path}: {_field(e['loc'])}", _words(e)) for e in _once(error.errors(), raw)) from error


def _completed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give each stage's table the study-wide seed, languages and pivot, where its settings have such a field."""
    completed = dict(raw)
    for table in STAGE_TABLES:
        given = completed.get(table, {})
        if not isinstance(given, dict):
            continue
        own = cast(type[BaseModel], Study.model_fields[table].annotation).model_fields
        shared = {key: raw[key] for key in ("seed", "languages", "pivot") if key in raw and key in own}
        completed[table] = {**shared, **cast(dict[str, Any], given)}
    return completed


def _once(errors: Sequence[Any], raw: Mapping[str, Any]) -> list[Any]:
    """Leave out what only repeats another mistake.

    A study-wide value that stages share is wrong in each of them, and a list of which every entry is wrong is also
    reported as too short.
    """
    found: list[Any] = []
    said: set[str] = set()
    for error in errors:
        place = error["loc"]
        if error["type"] == "too_short" and any(
            other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in errors
        ):
            continue
        if len(place) == 2 and place[0] in STAGE_TABLES and place[1] in raw:
            own: Any = raw.get(str(place[0]))
            if not (isinstance(own, dict) and place[1] in own):
                if place[1] in said:
                    continue
                error = {**error, "loc": place[1:]}
        said.add(_field(error["loc"]))
        found.append(error)
    return found


def _field(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "study"


def _words(error: Any) -> str:
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return "there is no such setting; remove it or mend its spelling"
    if kind == "string_pattern_mismatch" and error["loc"] == ("name",):
        return f"{error['input']!r}: small letters, digits and . _ - only, with a letter or a digit first"
    if kind == "missing":
        return "is missing and has no default"
    given = error.get("input")
    return message if isinstance(given, dict | list) or kind == "value_error" else f"{given!r}: {message}"
