"""All that defines a corpus beside its sources: one frozen model for all steps of the build.

Start at `CorpusSettings`. The steps read their part of it and nothing else; none has settings of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.dedup import NearDuplicates
from quality.filters import DEFAULT_LIMITS, Limits
from quality.languages import LANGUAGES

Kind = Literal["source", "test", "declaration", "generated", "minified", "vendored", "data", "text", "binary", "empty"]
LicenseType = Literal["permissive", "non_permissive", "no_license"]
Rank = Literal["star_events_count", "fork_events_count"]


class CorpusSettings(BaseModel):
    """All that defines a corpus, beside its sources.

    Args:
        languages: Languages to keep.
        kinds: Kinds of file to keep (see `quality.classify`).
        dialects: Dialects to keep beside each language's own (`python2`).
        licenses: Licence types to keep. A file without a licence may not be used, so `no_license` is not among them.
        limits: Filter limits by language; languages not named have the default ones.
        rank: Which column decides first among duplicates of one licence type, the larger the better.
        near_duplicates: How near duplicates are found.
        validation_share: Of each language's bytes, held out.
        seed: Chooses what is held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    languages: tuple[str, ...] = Field(default=tuple(LANGUAGES), min_length=1, strict=False)
    kinds: tuple[Kind, ...] = Field(default=("source", "test"), min_length=1, strict=False)
    dialects: tuple[Literal["python2"], ...] = Field(default=(), strict=False)
    licenses: tuple[LicenseType, ...] = Field(default=("permissive",), min_length=1, strict=False)
    limits: Mapping[str, Limits] = Field(default_factory=lambda: dict(DEFAULT_LIMITS))
    rank: Rank = "star_events_count"
    near_duplicates: NearDuplicates = NearDuplicates()
    validation_share: float = Field(default=0.05, gt=0, lt=0.5)
    seed: int = Field(default=17, ge=0)

    @field_validator("languages", "limits")
    @classmethod
    def _known(cls, value: Any) -> Any:
        unknown = [name for name in value if name not in LANGUAGES]
        if unknown:
            raise ValueError(f"not in the registry: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return value

    def limits_of(self, language: str) -> Limits:
        """Return the limits that hold for a language."""
        return self.limits.get(language) or DEFAULT_LIMITS.get(language) or Limits()
