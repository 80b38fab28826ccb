"""The settings of a sweep: which sizes, budgets and mixtures are trained, and how. No torch here.

Start at `SweepSettings`; `read_sweep_settings` reads one from a TOML file and lists every mistake in it at once.
Everything here is identity: hardware, paths and worker counts are arguments of `training.sweep.sweep`.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, bad_input
from training.allocation import Allocation
from training.hyperparameters import VALIDATION_TOKENS, count
from training.order import MAX_EPOCHS
from training.sizes import size_mistake

FEWEST_STEPS = 10
"""A run of fewer steps has no stable phase between warm-up and decay."""


def _counted(value: Any) -> Any:
    return count(value) if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(_counted), Field(ge=1)]
"""A whole number above 0, or a text such as `250k`, `100M` or `1.5B`."""


class SweepSettings(BaseModel):
    """What a sweep trains: every size with every budget, on each language alone and on each named mixture.

    Args:
        sizes: Size labels (see `training.sizes`).
        tokens: Training tokens, each a budget of its own.
        languages: Languages that are trained on alone, or none to take every language that has token stores.
        each_language: Train on each language alone.
        mixtures: Name to shares by source, trained on as well.
        seed: Seeds initial weights and order of the data.
        seeds: How many seeds, counted up from `seed`.
        sequence_length: Tokens a sequence.
        batch_tokens: Tokens an optimizer step; a whole number of sequences.
        learning_rate: Peak rate of all runs, or `by size` (`training.hyperparameters.learning_rate`).
        validation_tokens: Tokens of each language that runs are validated on.
        validate_on: `all` languages that have a validation store, or those the run was `trained` on.
        max_epochs: How often a source may be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sizes: tuple[str, ...] = Field(min_length=1)
    tokens: tuple[Count, ...] = Field(min_length=1)
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)
    each_language: bool = True
    mixtures: dict[str, dict[str, float]] = Field(default_factory=dict[str, dict[str, float]])
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    seeds: int = Field(default=1, ge=1, le=1000)
    sequence_length: int = Field(default=2048, ge=2)
    batch_tokens: Count = 524_288
    learning_rate: float | Literal["by size"] = "by size"
    validation_tokens: Count = VALIDATION_TOKENS
    validate_on: Literal["all", "trained"] = "all"
    max_epochs: float = Field(default=MAX_EPOCHS, gt=0, allow_inf_nan=False)

    @field_validator("sizes", "tokens", "languages")
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
        if self.batch_tokens % self.sequence_length:
            wrong.append(
                f"batch_tokens {self.batch_tokens} is not a whole number of sequences of {self.sequence_length};"
                f" {self.sequence_length * max(1, round(self.batch_tokens / self.sequence_length))} is"
            )
        least = FEWEST_STEPS * self.batch_tokens
        wrong += [
            f"tokens {tokens} is fewer than {FEWEST_STEPS} steps of {self.batch_tokens} tokens;"
            f" train on at least {least} or lower batch_tokens"
            for tokens in self.tokens
            if tokens < least
        ]
        if not self.each_language and not self.mixtures:
            wrong.append("nothing to train on: each_language is false and there are no mixtures")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def read_sweep_settings(path: Path | str) -> SweepSettings:
    """Read a sweep from a TOML file.

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
    try:
        # By way of JSON, because strict mode takes an array for a tuple there.
        return SweepSettings.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise BadInput(_mistakes(path, error)) from error


def _mistakes(path: Path, error: ValidationError) -> list[Mistake]:
    found: list[Mistake] = []
    for one in error.errors():
        field = ".".join(str(part) for part in one["loc"] if part not in ("float", "literal['by size']"))
        known = ", ".join(SweepSettings.model_fields)
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
