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

from analysis.laws import LAWS
from parallel_mining.mine import MiningSettings
from pipelines.corpus_settings import CorpusSettings
from pipelines.pack import PackSettings
from pipelines.sources import Source
from pipelines.tokens import TokenSettings
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import Allocation
from training.settings import Count, SweepSettings


class ShardSettings(PackSettings):
    """What a turn packs.

    Args:
        tokens: Tokens in all.
        shares: The allocation of turn 0; empty for the same share of each language, beside `pair_share`.
        pair_share: The fraction that goes to parallel documents, spread over the language pairs by what was proved of
            each; 0 for none. Held fixed: the laws say nothing of it yet.
    """

    tokens: Count
    shares: Mapping[str, float] = Field(default_factory=dict[str, float])
    pair_share: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("shares")
    @classmethod
    def _shares_of_sources(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        try:
            return Allocation(value).shares if value else value
        except BadInput as error:
            raise ValueError("; ".join(str(mistake) for mistake in error.mistakes)) from error


class FitSettings(BaseModel):
    """Which law is fitted to the runs of each language.

    Args:
        law: A name in the registry of laws.
        loss: `bits_per_byte` or `loss_nats`.
        params: `params_non_embedding` or `params_total`.
        bootstrap: Resamples.
        seed: Decides the resamples.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    law: str = "chinchilla"
    loss: Literal["bits_per_byte", "loss_nats"] = "bits_per_byte"
    params: Literal["params_non_embedding", "params_total"] = "params_non_embedding"
    bootstrap: int = Field(default=200, ge=0)
    seed: int = Field(default=0, ge=0)

    @field_validator("law")
    @classmethod
    def _known_law(cls, value: str) -> str:
        if value not in LAWS:
            raise ValueError(f"{value!r} is not a law; known: {', '.join(LAWS)}")
        return value


class AllocationSettings(BaseModel):
    """The budget that is to be allocated to the languages.

    Args:
        tokens: Tokens in all.
        params: Parameters of the model they are for.
        max_epochs: How often a language's tokens may be repeated.
        weights: Weight of each language's loss in the mean; empty for equal ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tokens: Count
    params: Count
    max_epochs: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    weights: Mapping[str, float] = Field(default_factory=dict[str, float])


class Study(BaseModel):
    """An experiment.

    Args:
        name: A short word; the folder below the store.
        languages: Language ids the corpus is made of.
        pivot: The language that every parallel pair has on its left side.
        seed: The seed of every stage that does not set its own.
        sources: Where the code comes from.
        corpus: Filters, licences, duplicates, splits.
        mining: Candidates, cases and verdicts of parallel pairs.
        tokens: The tokenizer.
        shards: The allocation that turn 0 packs, and how many tokens of it.
        sweep: The training runs.
        fit: The law, and its bootstrap.
        allocation: The budget that is to be allocated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    languages: tuple[str, ...] = Field(min_length=1)
    pivot: str
    seed: int = Field(ge=0, le=2**31 - 1)
    sources: tuple[Source, ...] = Field(min_length=1)
    corpus: CorpusSettings
    mining: MiningSettings
    tokens: TokenSettings
    shards: ShardSettings
    sweep: SweepSettings
    fit: FitSettings
    allocation: AllocationSettings

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        wrong = [
            f"{name!r} is not in the registry ({', '.join(LANGUAGES)})"
            for name in self.languages
            if name not in LANGUAGES
        ]
        if self.pivot not in self.languages:
            wrong.append(f"the pivot {self.pivot!r} is not one of the study's languages")
        weights = set(self.allocation.weights)
        if weights and weights != set(self.languages):
            wrong.append(
                f"allocation.weights names {', '.join(sorted(weights))}; name each of the study's languages, or none"
            )
        names = [source.label for source in self.sources]
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
