"""All that defines a corpus beside its sources: one frozen model for all steps of the build.

Start at `CorpusSettings`. The steps read their part of it and nothing else; none has settings of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.dedup import NearDuplicates
from quality.artifacts import file_sha256
from quality.classify import Kind
from quality.contamination import ContaminationSettings
from quality.filters import DEFAULT_LIMITS, Limits
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake
from quality.redaction import RedactionSettings

LicenseType = Literal["permissive", "non_permissive", "no_license"]
Rank = Literal["star_events_count", "fork_events_count"]


_LIMITS = Limits()


class GivenFile(BaseModel):
    """A file that the user supplies beside the sources.

    Args:
        path: Where it is; no part of any identity.
        sha256: The checksum it must have; empty for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str = Field(min_length=1)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


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
        level: Whether files are compared, or repositories as wholes, each of which stays or goes with all its files.
        redaction: What is taken out of texts.
        benchmarks: Benchmark files; a document that holds one of their tasks is rejected.
        trivial_solutions: Solutions that are idioms beside those that are shipped; see `quality.contamination`.
        contamination: When a document holds a task.
        opt_out: A list of repositories, owners and paths to leave out; see `quality.opt_out`.
        validation_share: Of each language's bytes, held out.
        seed: Chooses what is held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    languages: tuple[str, ...] = Field(default=tuple(LANGUAGES), min_length=1, strict=False)
    kinds: tuple[Kind, ...] = Field(default=("source", "test"), min_length=1, strict=False)
    dialects: tuple[str, ...] = Field(default=(), strict=False)
    licenses: tuple[LicenseType, ...] = Field(default=("permissive",), min_length=1, strict=False)
    limits: Mapping[str, Limits] = Field(default_factory=lambda: dict(DEFAULT_LIMITS))
    rank: Rank = "star_events_count"
    near_duplicates: NearDuplicates = NearDuplicates()
    level: Literal["file", "repository"] = "file"
    redaction: RedactionSettings = RedactionSettings()
    benchmarks: tuple[GivenFile, ...] = Field(default=(), strict=False)
    trivial_solutions: GivenFile | None = None
    contamination: ContaminationSettings = ContaminationSettings()
    opt_out: GivenFile | None = None
    validation_share: float = Field(default=0.05, gt=0, lt=0.5)
    seed: int = Field(default=17, ge=0)

    @field_validator("languages", "limits")
    @classmethod
    def _known(cls, value: Any) -> Any:
        unknown = [name for name in value if name not in LANGUAGES]
        if unknown:
            raise ValueError(f"not in the registry: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return value

    @field_validator("dialects")
    @classmethod
    def _known_dialects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = [dialect.name for row in LANGUAGES.values() for dialect in row.dialects]
        unknown = [name for name in value if name not in known]
        if unknown:
            raise ValueError(f"no dialect of a language: {', '.join(unknown)}; known: {', '.join(known)}")
        return value

    def limits_of(self, language: str) -> Limits:
        """Return the limits that hold for a language."""
        return self.limits.get(language) or DEFAULT_LIMITS.get(language) or _LIMITS

    def identity(self) -> dict[str, Any]:
        """Return the settings with each given file as the checksum of what it holds.

        Raises:
            BadInput: A file is missing, cannot be read, or has another checksum than it must; all are listed.
        """
        mistakes: list[Mistake] = []

        def digest(file: GivenFile) -> str:
            try:
                found = file_sha256(Path(file.path))
            except OSError as error:
                mistakes.append(Mistake(file.path, f"cannot be read: {error.strerror or error}"))
                return ""
            if file.sha256 not in ("", found):
                mistakes.append(Mistake(file.path, f"has the checksum {found}, not {file.sha256}"))
            return found

        own = self.model_dump(mode="json")
        own["benchmarks"] = sorted(digest(file) for file in self.benchmarks)
        for name in ("trivial_solutions", "opt_out"):
            file: GivenFile | None = getattr(self, name)
            own[name] = digest(file) if file else ""
        if mistakes:
            raise BadInput(mistakes)
        return own
