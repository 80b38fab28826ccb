"""A corpus to translation pairs, each proved by running both sides.

Start at `mine`: documents -> units -> candidates -> verdicts -> pairs. It always holds that both halves of a pair were
run on the same inputs and agreed on all that were compared, that their licences may stand together in one document
(`licensing`), and that every function considered and every candidate that failed is a row with its reason. What was
judged before a kill is not judged again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from parallel_mining.candidates import Candidate, candidates, code_hash
from parallel_mining.execute import ExecutionLimits, Toolchain, available
from parallel_mining.licensing import LicencePolicy, obstacle
from parallel_mining.pairs import PAIR_CONTRACT, PAIR_SCHEMA
from parallel_mining.units import UNIT_SCHEMA, Extraction, Unit, extract, folded, name_of
from parallel_mining.verdicts import Judgement, Question, VerdictSettings, judge
from quality.artifacts import canonical_json, check_place, creating, read_manifest, write_atomically
from quality.contracts import check
from quality.languages import LANGUAGES
from quality.mistakes import bad_input
from quality.progress import progress, say

REJECTED_SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("left_language", pa.string(), nullable=False),
        pa.field("right_language", pa.string(), nullable=False),
        pa.field("left_entry", pa.string(), nullable=False),
        pa.field("right_entry", pa.string(), nullable=False),
        pa.field("left_path", pa.string(), nullable=False),
        pa.field("right_path", pa.string(), nullable=False),
        pa.field("left_repo", pa.string(), nullable=False),
        pa.field("right_repo", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

_COLUMNS = ["id", "text", "language", "repo_name", "path", "detected_licenses", "license_type", "split"]


MINING_VERSION = 8
"""Goes up with any change that may change which pairs are found or proved; part of every identity."""

_SCRATCH = ".search"
_JOURNAL = ".judged"
_JUDGED_AT_ONCE = 1000
"""Candidates that are judged, and remembered, together: several full batches of each language, minutes of work."""

SURPLUS = "surplus"
"""Cause of a rejected candidate that was proved: verdict `equivalent`, but the two say nothing that a pair does not."""


class MiningSettings(BaseModel):
    """Which pairs are looked for, and how much proof they need.

    Args:
        pivot: The language that every pair that it is part of has on its left.
        languages: The languages to pair it with (the pivot among them or not).
        candidates_per_unit: How many units of a language are tried for one of the pivot, and the other way round.
        min_score: Similarity of words below which units are not tried,
        min_mutual_score: unless each is the most similar one to the other, and this similar.
        candidates_per_channel: How many candidates file names, notes and test vectors may each add to a unit.
        through_pivot: Pair with the pivot only; else every two languages, the first by id on the left.
        pairs_per_unit: In how many pairs with one language a function may stand.
        evidence: What a verdict needs.
        licences: Which licences the two halves of a pair may have.
        seed: Decides the inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pivot: str = "python"
    languages: tuple[str, ...] = tuple(LANGUAGES)
    candidates_per_unit: int = Field(default=20, ge=1)
    min_score: float = Field(default=0.25, ge=0.0, le=1.0)
    min_mutual_score: float = Field(default=0.1, ge=0.0, le=1.0)
    candidates_per_channel: int = Field(default=3, ge=0)
    through_pivot: bool = True
    pairs_per_unit: int = Field(default=3, ge=1)
    evidence: VerdictSettings = VerdictSettings()
    licences: LicencePolicy = LicencePolicy()
    seed: int = Field(default=17, ge=0)

    @field_validator("pivot")
    @classmethod
    def _known_pivot(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(f"{value!r} is not in the registry; known: {', '.join(sorted(LANGUAGES))}")
        return value

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - LANGUAGES.keys())
        if unknown:
            raise ValueError(f"{', '.join(unknown)} not in the registry; known: {', '.join(sorted(LANGUAGES))}")
        return value


Search = Callable[[Sequence[Unit], MiningSettings, Path], list[Candidate]]
"""Units, what is looked for, and a folder for temporary files, to candidates."""


def mine(
    corpus: Path | str,
    out: Path | str,
    settings: MiningSettings | None = None,
    *,
    command: str = "",
    limits: ExecutionLimits | None = None,
    workers: int | None = None,
    search: Search | None = None,
) -> dict[str, Any]:
    """Mine a corpus for translation pairs and write them as a `pairs` artifact.

    Args:
        corpus: Folder of a `corpus` artifact.
        out: Folder of the artifact to make.
        settings: What to look for; `MiningSettings()` if None.
        command: The command line, for the manifest.
        limits: How much an untrusted program may use.
        workers: Processes that cut units; one a processor if None.
        search: Finds the candidates; `search_here` if None. What it finds must not depend on which it is.

    Returns:
        The manifest's counts.

    Raises:
        BadInput: There is no corpus, it has no documents of the pivot or of another language, or the pivot cannot be
            run here.
        ContractFailed: What was written does not hold what it promises.
    """
    settings = settings or MiningSettings()
    manifest = read_manifest(corpus, "corpus")
    check_place(out, "pairs")
    documents = _documents(Path(corpus), settings)
    toolchains = _toolchains(settings)
    identity = {
        "corpus": manifest["fingerprint"],
        "settings": settings.model_dump(mode="json"),
        "toolchains": {name: found.version for name, found in toolchains.items()},
        "version": MINING_VERSION,
    }
    with creating(out, "pairs", identity, command=command, resume=True) as draft:
        with progress(total=len(documents), description="cutting units", unit="file") as bar:
            extraction = extract(documents, settings.licences, workers=workers, progress=bar.update)
        scratch = draft.path / _SCRATCH
        scratch.mkdir(exist_ok=True)
        found = (search or search_here)(extraction.units, settings, scratch)
        shutil.rmtree(scratch)
        say(
            f"units: {len(extraction.units)} of {len(extraction.considered)} functions stand alone; "
            f"{len(found)} candidate pairs"
        )
        judgements = _judged(found, settings, limits, draft.path / _JOURNAL)
        pairs, rejected = select(found, judgements, settings)
        _write(draft.path / "units.parquet", [vars(row) for row in extraction.considered], UNIT_SCHEMA)
        _write(draft.path / "rejected.parquet", rejected, REJECTED_SCHEMA)
        _write(draft.path / "pairs.parquet", pairs, PAIR_SCHEMA)
        check(PAIR_CONTRACT, pq.read_table(draft.path / "pairs.parquet"), draft.path)
        draft.counts.update(_counts(extraction, found, judgements, pairs, rejected))
        shutil.rmtree(draft.path / _JOURNAL)
        say(f"pairs: {len(pairs)} proved; " + _by_language(pairs))
        for channel, own in draft.counts["channels"].items():
            say(f"by {channel}: {own['candidates']} candidates, {own['proved']} proved, {own['pairs']} kept as pairs")
        return dict(draft.counts)


def search_here(units: Sequence[Unit], settings: MiningSettings, scratch: Path) -> list[Candidate]:
    """Search for candidates in this process; nothing is written to `scratch`."""
    del scratch
    return candidates(
        units,
        settings.pivot,
        per_unit=settings.candidates_per_unit,
        min_score=settings.min_score,
        min_mutual_score=settings.min_mutual_score,
        per_channel=settings.candidates_per_channel,
        through_pivot=settings.through_pivot,
    )


def _by_language(pairs: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(row["right_language"] for row in pairs)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _documents(corpus: Path, settings: MiningSettings) -> list[dict[str, Any]]:
    folder = corpus / "documents"
    if not folder.is_dir():
        bad_input(folder, "the corpus has no documents folder; build it again with `polymix build`")
    try:
        table = pads.dataset(folder, format="parquet", partitioning="hive").to_table(columns=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        bad_input(folder, f"the corpus is damaged ({error}); remove {corpus} and build it again with `polymix build`")
    if any(column.null_count for column in table.select(["language", "repo_name", "path", "id", "text"]).columns):
        bad_input(folder, f"the corpus is damaged (documents lack values); remove {corpus} and build it again")
    wanted = {settings.pivot, *settings.languages}
    rows = [row for row in table.to_pylist() if row["language"] in wanted]
    languages = {row["language"] for row in rows}
    if settings.pivot not in languages or len(languages) < 2:
        bad_input(
            corpus,
            f"pairs need documents in {settings.pivot} (the pivot) and in another of {', '.join(settings.languages)}; "
            f"this corpus has {', '.join(sorted(languages)) or 'neither'}",
        )
    return sorted(rows, key=lambda row: (row["language"], row["repo_name"], row["path"], row["id"]))


def _toolchains(settings: MiningSettings) -> dict[str, Toolchain]:
    found: dict[str, Toolchain] = {}
    for name in dict.fromkeys((settings.pivot, *settings.languages)):
        toolchain = available(name)
        if isinstance(toolchain, Toolchain):
            found[name] = toolchain
        elif name == settings.pivot:
            bad_input(f"pivot {name}", f"{toolchain.reason}; {toolchain.install}")
        else:
            say(f"note: {name} cannot be run here ({toolchain.reason}); its pairs will be `unsupported`")
    return found


def _judged(
    found: Sequence[Candidate], settings: MiningSettings, limits: ExecutionLimits | None, journal: Path
) -> list[Judgement]:
    """Judge the candidates; those that could not be emitted, or that running could say nothing about, are not run.

    Args:
        found: The candidates.
        settings: What is asked of them.
        limits: How much a program may use.
        journal: A folder that keeps what was judged, for a second try.
    """
    journal.mkdir(exist_ok=True)
    early = [_not_run(candidate, settings) for candidate in found]
    questions = [question_of(candidate) for candidate, why in zip(found, early, strict=True) if not why]
    evidence = settings.evidence.model_copy(update={"seed": settings.seed})
    judged: list[Judgement] = []
    for start in range(0, len(questions), _JUDGED_AT_ONCE):
        part = questions[start : start + _JUDGED_AT_ONCE]
        kept = journal / f"{start:08d}.json"
        if not kept.is_file():
            if len(questions) > _JUDGED_AT_ONCE:
                say(f"judging candidates {start + 1:,} to {start + len(part):,} of {len(questions):,}")
            fresh = judge(part, evidence, limits=limits, progress=rounds())
            write_atomically(kept, json.dumps([vars(one) for one in fresh]))
        judged += [Judgement(**row | {"domain": tuple(row["domain"])}) for row in json.loads(kept.read_text())]
    verdicts = iter(judged)
    return [Judgement("insufficient", why) if why else next(verdicts) for why in early]


def _not_run(candidate: Candidate, settings: MiningSettings) -> str:
    left, right = candidate.left, candidate.right
    trivial = left.trivial or right.trivial
    forbidden = obstacle(left.origin.licenses, right.origin.licenses, settings.licences)
    return forbidden or (f"trivial: {trivial}" if trivial else "")


def question_of(candidate: Candidate) -> Question:
    """Return what is to be judged about a candidate."""
    left, right = candidate.left, candidate.right
    literals = tuple(dict.fromkeys((*left.literals, *right.literals)))
    return Question(left.program, right.program, left.signature, right.signature, literals)


def rounds() -> Callable[[str, int], Callable[[int], object]]:
    """Return a `progress` for `judge`: one bar a round."""

    def start(name: str, total: int) -> Callable[[int], object]:
        bar = progress(total=total, description=name, unit="program")

        def update(count: int) -> None:
            bar.update(count)
            if bar.n >= total:
                bar.close()

        return update

    return start


def pair_id_of(left: Unit, right: Unit) -> str:
    """Return a pair's id: 32 hex digits of the SHA-256 of its units' ids."""
    return hashlib.sha256(f"{left.unit_id} {right.unit_id}".encode()).hexdigest()[:32]


Function = tuple[str, str, str]
"""A function as a reader counts them: language, repository, and its folded name."""


def function_of(unit: Unit) -> Function:
    """Return which function a unit is: builds of one package and overloads for other types are the same one."""
    return unit.language, unit.origin.repo_name, folded(name_of(unit.entry, unit.origin.path))


def select(
    found: Sequence[Candidate], judgements: Sequence[Judgement], settings: MiningSettings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of the pairs to keep, and of the candidates that failed or say nothing that a kept pair does not.

    The best candidates come first; see `function_of` for when two of them are about the same function.
    """
    pairs: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    taken: Counter[tuple[Function, str]] = Counter()
    known: set[tuple[Function, Function]] = set()
    codes: set[tuple[str, str]] = set()
    for candidate, judgement in sorted(
        zip(found, judgements, strict=True), key=lambda item: (-item[0].score, pair_id_of(item[0].left, item[0].right))
    ):
        left, right = candidate.left, candidate.right
        row = {
            "pair_id": pair_id_of(left, right),
            "left_language": left.language,
            "right_language": right.language,
            "left_entry": left.entry,
            "right_entry": right.entry,
            "left_path": left.origin.path,
            "right_path": right.origin.path,
            "left_repo": left.origin.repo_name,
            "right_repo": right.origin.repo_name,
            "channel": candidate.channel,
            "score": candidate.score,
            "verdict": judgement.verdict,
            "reason": judgement.reason,
        }
        surplus = ""
        if judgement.verdict == "equivalent":
            one, two = function_of(left), function_of(right)
            keys = ((one, right.language), (two, left.language))
            code = (code_hash(left.program), code_hash(right.program))
            if code in codes or (one, two) in known:
                surplus = f"{SURPLUS}: the same two functions are a pair already"
            elif any(taken[key] >= settings.pairs_per_unit for key in keys):
                surplus = f"{SURPLUS}: one of them stands in {settings.pairs_per_unit} pairs with the language already"
            else:
                codes.add(code)
                known.add((one, two))
                taken.update(keys)
        if judgement.verdict != "equivalent" or surplus:
            rejected.append({**row, "reason": surplus or judgement.reason})
        else:
            pairs.append(row | _proof(left, right, judgement))
    pairs.sort(key=lambda row: (row["left_language"], row["right_language"], row["pair_id"]))
    rejected.sort(key=lambda row: (row["left_language"], row["right_language"], row["pair_id"]))
    return pairs, rejected


def _proof(left: Unit, right: Unit, judgement: Judgement) -> dict[str, Any]:
    return {
        "left_code": left.program.code,
        "right_code": right.program.code,
        "left_document": left.origin.document,
        "right_document": right.origin.document,
        "left_licenses": list(left.origin.licenses),
        "right_licenses": list(right.origin.licenses),
        "split": "train" if left.origin.split == right.origin.split == "train" else "validation",
        "tolerance": judgement.tolerance,
        "cases": judgement.cases,
        "agreed": judgement.agreed,
        "domain": canonical_json(list(judgement.domain)),
        "evidence": json.dumps(
            {
                **judgement.evidence,
                "licences": {"left": list(left.origin.licenses), "right": list(right.origin.licenses)},
            },
            ensure_ascii=False,
            sort_keys=True,
        ),
    }


def _write(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def cause(reason: str) -> str:
    """Return the part of a reason that is counted: what stands before its colon."""
    return reason.partition(":")[0]


def _functions(pairs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the distinct functions that stand in pairs, by language: those of one name in one repository are one."""
    found = {
        (row[f"{side}_language"], row[f"{side}_repo"], folded(name_of(row[f"{side}_entry"], row[f"{side}_path"])))
        for row in pairs
        for side in ("left", "right")
    }
    return dict(sorted(Counter(language for language, _, _ in found).items()))


def _by_channel(
    found: Sequence[Candidate], judgements: Sequence[Judgement], pairs: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, int]]:
    """Count, by the channels in which candidates met, all of them, those that were proved and those that were kept."""
    tried = Counter(candidate.channel for candidate in found)
    proved = Counter(c.channel for c, judged in zip(found, judgements, strict=True) if judged.verdict == "equivalent")
    kept = Counter(pair["channel"] for pair in pairs)
    return {
        channel: {"candidates": count, "proved": proved[channel], "pairs": kept[channel]}
        for channel, count in sorted(tried.items())
    }


def _counts(
    extraction: Extraction,
    found: Sequence[Candidate],
    judgements: Sequence[Judgement],
    pairs: Sequence[Mapping[str, Any]],
    rejected: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    units: dict[str, Any] = {}
    for row in extraction.considered:
        own = units.setdefault(row.language, {"considered": 0, "accepted": 0, "reasons": {}})
        own["considered"] += 1
        own["accepted"] += row.accepted
        if not row.accepted:
            own["reasons"][cause(row.reason)] = own["reasons"].get(cause(row.reason), 0) + 1
    verdicts: dict[str, Any] = {}
    for candidate, judgement in zip(found, judgements, strict=True):
        own = verdicts.setdefault(candidate.right.language, {})
        one = own.setdefault(judgement.verdict, {"candidates": 0, "reasons": {}})
        one["candidates"] += 1
        one["reasons"][cause(judgement.reason)] = one["reasons"].get(cause(judgement.reason), 0) + 1
    return {
        "units": units,
        "candidates": dict(sorted(Counter(c.right.language for c in found).items())),
        "channels": _by_channel(found, judgements, pairs),
        "verdicts": verdicts,
        "pairs": len(pairs),
        "proved_not_kept": dict(
            sorted(Counter(row["right_language"] for row in rejected if row["verdict"] == "equivalent").items())
        ),
        "functions": _functions(pairs),
        "pairs_by_language": dict(sorted(Counter(row["right_language"] for row in pairs).items())),
        "pairs_by_split": dict(sorted(Counter(row["split"] for row in pairs).items())),
    }
