"""The settings of a sweep: which sizes, budgets and mixtures are trained, and how. No torch here.

Start at `SweepSettings`; `read_sweep_settings` reads one from a TOML file and lists every mistake in it at once.
Everything here is identity: hardware, paths and worker counts are arguments of `training.sweep.sweep`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import Allocation, read_allocation, uniform
from training.hyperparameters import SCHEDULE, VALIDATION_TOKENS, batch_size, count
from training.order import MAX_EPOCHS
from training.sizes import size, size_mistake

FEWEST_STEPS = 10
"""A run of fewer steps has no stable phase between warm-up and decay."""


def _counted(value: Any) -> Any:
    return count(value) if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(_counted), Field(ge=1)]
"""A whole number above 0, or a text such as `250k`, `100M` or `1.5B`."""


Pairing = Literal["parallel", "shuffled"]
"""How the two halves of a pair are trained on: in one document, or each in a document of its own."""


class SweepSettings(BaseModel):
    """What a sweep trains: every size with every budget, on each language alone and on mixtures of them.

    Args:
        sizes: Size labels (see `training.sizes`).
        tokens: Training tokens, each a budget of its own.
        languages: Languages that are trained on alone, or none to take every language that has token stores.
        each_language: Train on each language alone.
        bilingual: Train on every two of the languages, too: each number is the share of the first, and unless it is a
            half, each of the two is the first once.
        uniform: Train on all of the languages in equal shares, too, as the mixture `uniform`.
        mixtures: Name to shares by source, trained on as well.
        pairing: Mixtures that hold pairs are trained on once for each of these; `shuffled` needs token stores in which
            the halves were parted.
        seed: Seeds initial weights and order of the data.
        seeds: How many seeds, counted up from `seed`.
        sequence_length: Tokens a sequence.
        batch_tokens: Tokens an optimizer step, a whole number of sequences; or `by size`
            (`training.hyperparameters.batch_size`, for the smallest budget, so that all budgets of a size have one).
        learning_rate: Peak rate of all runs, or `by size` (`training.hyperparameters.learning_rate`).
        rate_factors: What that rate is multiplied by, a run for each: several show whether the rate suits each size.
        schedule: How the rate goes over the steps; with `wsd-sqrt`, runs that differ by their budget alone share a
            trunk, with `cosine` each is trained whole.
        across_documents: Whether tokens attend to the documents before theirs in the same sequence.
        float8: Whether matrices are multiplied in 8 bits.
        validation_tokens: Tokens of each language that runs are validated on.
        validate_on: `all` languages that have a validation store, or those the run was `trained` on.
        max_epochs: How often a source may be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sizes: tuple[str, ...] = Field(min_length=1)
    tokens: tuple[Count, ...] = Field(min_length=1)
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)
    each_language: bool = True
    bilingual: tuple[float, ...] = ()
    uniform: bool = False
    mixtures: dict[str, dict[str, float]] = Field(default_factory=dict[str, dict[str, float]])
    pairing: tuple[Pairing, ...] = Field(default=("parallel",), min_length=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    seeds: int = Field(default=1, ge=1, le=1000)
    sequence_length: int = Field(default=2048, ge=2)
    batch_tokens: Count | Literal["by size"] = "by size"
    learning_rate: float | Literal["by size"] = "by size"
    rate_factors: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    schedule: Literal["wsd-sqrt", "cosine"] = SCHEDULE
    across_documents: bool = True
    float8: bool = False
    validation_tokens: Count = VALIDATION_TOKENS
    validate_on: Literal["all", "trained"] = "all"
    max_epochs: float = Field(default=MAX_EPOCHS, gt=0, allow_inf_nan=False)

    @field_validator("sizes", "tokens", "languages", "bilingual", "pairing", "rate_factors")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        repeated = sorted({str(value) for value in values or () if (values or ()).count(value) > 1})
        if repeated:
            raise ValueError(f"named more than once: {', '.join(repeated)}")
        return values

    @field_validator("sizes")
    @classmethod
    def _known_sizes(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [mistake for mistake in map(size_mistake, labels) if mistake]
        if wrong:
            raise ValueError("; ".join(wrong))
        return labels

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        wrong = [name for name in names or () if name not in LANGUAGES]
        if wrong:
            raise ValueError(f"not in the registry: {', '.join(wrong)}; known: {', '.join(LANGUAGES)}")
        return names

    @field_validator("bilingual")
    @classmethod
    def _sound_ratios(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [f"{ratio!r}" for ratio in ratios if not 0 < ratio < 1]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is not between 0 and 1; name the share of the first language")
        return ratios

    @field_validator("rate_factors")
    @classmethod
    def _sound_factors(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [f"{factor!r}" for factor in factors if not 0 < factor <= 100]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is not a factor above 0, such as 0.5")
        return factors

    @field_validator("mixtures")
    @classmethod
    def _sound_mixtures(cls, mixtures: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        wrong: list[str] = []
        for name, shares in mixtures.items():
            try:
                Allocation(shares)
            except BadInput as error:
                wrong += [f"{name}.{mistake}" for mistake in error.mistakes]
        if wrong:
            raise ValueError("; ".join(wrong))
        return mixtures

    @field_validator("learning_rate")
    @classmethod
    def _sound_rate(cls, rate: float | str) -> float | str:
        if isinstance(rate, float) and not 0 < rate < 1:
            raise ValueError(f"{rate!r} is not between 0 and 1; name a rate such as 3e-3, or 'by size'")
        return rate

    @model_validator(mode="after")
    def _consistent(self) -> SweepSettings:
        wrong: list[str] = []
        batch = self.sequence_length if isinstance(self.batch_tokens, str) else self.batch_tokens
        if batch % self.sequence_length:
            wrong.append(
                f"batch_tokens {batch} is not a whole number of sequences of {self.sequence_length};"
                f" {self.sequence_length * max(1, round(batch / self.sequence_length))} is"
            )
        lower = "sequence_length" if isinstance(self.batch_tokens, str) else "batch_tokens"
        wrong += [
            f"tokens {tokens} is fewer than {FEWEST_STEPS} steps of {batch} tokens;"
            f" train on at least {FEWEST_STEPS * batch} or lower {lower}"
            for tokens in self.tokens
            if tokens < FEWEST_STEPS * batch
        ]
        for label in self.sizes:
            steps = [round(tokens / self.batch_of(label)) for tokens in self.tokens]
            if len(set(steps)) < len(steps):
                wrong.append(
                    f"tokens {', '.join(map(str, self.tokens))} are not all different in whole steps of"
                    f" {self.batch_of(label)} tokens, which {label} has"
                )
        if not self.each_language and not self.mixtures and not self.bilingual and not self.uniform:
            wrong.append(
                "nothing to train on: each_language and uniform are false, and there are neither mixtures nor bilingual"
            )
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def batch_of(self, label: str) -> int:
        """Return the tokens of an optimizer step of a size."""
        if isinstance(self.batch_tokens, int):
            return self.batch_tokens
        return batch_size(size(label).non_embedding_parameters, min(self.tokens), self.sequence_length)

    def all_mixtures(self, languages: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """Return name to shares by source of everything that is trained on.

        Args:
            languages: The languages that have token stores, of which those asked for are taken.

        Raises:
            BadInput: A mixture has the name of one that is made here.
        """
        languages = self.languages or languages
        made: dict[str, dict[str, float]] = {}
        if self.each_language:
            made |= {language: {language: 1.0} for language in languages}
        for first, second in combinations(languages, 2):
            for ratio in self.bilingual:
                for one, other in ((first, second), (second, first))[: 1 if ratio == 0.5 else 2]:
                    made[f"{one}-{other} {ratio:g}"] = {one: ratio, other: 1 - ratio}
        if self.uniform:
            made["uniform"] = dict(uniform(list(languages)).shares)
        taken = [
            Mistake(f"mixtures.{name}", "is the name of a mixture that this sweep makes itself; name it otherwise")
            for name in self.mixtures
            if name in made
        ]
        if taken:
            raise BadInput(taken)
        return made | self.mixtures


def read_sweep_settings(path: Path | str) -> SweepSettings:
    """Read a sweep from a TOML file.

    Its table `[allocations]` names files, by paths from its own folder; what is in them joins the mixtures, so that a
    sweep depends on their content and not on where they lie.

    Raises:
        BadInput: The file is missing, is not TOML, or has mistakes; all are listed, each with its field.
    """
    path = Path(path)
    if not path.is_file():
        bad_input(path, "no such file; `polymix sweep --help` shows what one looks like")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        bad_input(path, f"not TOML: {error}")
    mistakes = _take_allocations(path, raw)
    try:
        # By way of JSON, because strict mode takes an array for a tuple there.
        settings = SweepSettings.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise BadInput([*mistakes, *_mistakes(path, error)]) from error
    if mistakes:
        raise BadInput(mistakes)
    return settings


def _take_allocations(path: Path, raw: dict[str, Any]) -> list[Mistake]:
    """Move what the files of `[allocations]` say to `[mixtures]`; return what is wrong with them."""
    named = raw.pop("allocations", {})
    if not isinstance(named, Mapping):
        return [Mistake(f"{path}: allocations", 'name files, such as recommended = "allocation.json"')]
    mixtures = raw.setdefault("mixtures", {})
    mistakes: list[Mistake] = []
    for name, file in cast(Mapping[str, Any], named).items():
        if not isinstance(file, str):
            mistakes.append(Mistake(f"{path}: allocations.{name}", f"{file!r} is not the path of a file"))
        elif isinstance(mixtures, dict) and name in mixtures:
            mistakes.append(Mistake(f"{path}: allocations.{name}", "is the name of a mixture, too; name it otherwise"))
        else:
            try:
                shares = dict(read_allocation(path.parent / file).shares)
            except BadInput as error:
                mistakes += [Mistake(f"{path}: allocations.{name}: {one.where}", one.what) for one in error.mistakes]
                continue
            if isinstance(mixtures, dict):
                cast(dict[str, Any], mixtures)[name] = shares
    return mistakes


_UNION_PART = re.compile(r"float|(literal|function-\w+|constrained-\w+)\[.*", re.DOTALL)
"""What pydantic adds to the place of a value that may have one of two forms."""


def _mistakes(path: Path, error: ValidationError) -> list[Mistake]:
    found: list[Mistake] = []
    for one in error.errors():
        field = ".".join(str(part) for part in one["loc"] if not _UNION_PART.fullmatch(str(part)))
        known = ", ".join([*SweepSettings.model_fields, "allocations"])
        said = {
            "extra_forbidden": f"there is no such setting; known: {known}",
            "missing": "is missing and has no default",
        }.get(one["type"], one["msg"].removeprefix("Value error, "))
        given = one["input"]
        shown = (
            ""
            if isinstance(given, dict | list) or one["type"] in ("missing", "value_error", "extra_forbidden")
            else f"{given!r}: "
        )
        found.append(Mistake(f"{path}: {field}" if field else str(path), shown + said))
    return found
