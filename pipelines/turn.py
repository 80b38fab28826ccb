"""One trip round the loop: corpus, pairs, tokens, shards, runs, laws, allocation, report.

Start at `turn`. A turn lies at `<store>/<study>/<number>/<kind>/`. Finished stages are skipped while the study says
what they were made from, and refused when it does not (`pipelines.stages`). Turn 0 packs the study's own allocation;
turn k+1 packs the allocation that turn k found, trains on it beside the uniform one, and takes over what it would
make just the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.sources import Source
from pipelines.stages import Stage, advance, check_stages, states_of
from pipelines.study import Study, read_study
from quality.artifacts import creating, make_folder, read_manifest
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from quality.progress import say
from training.allocation import Allocation, read_allocation, uniform
from training.settings import SweepSettings
from training.stores import TOKENIZER_FILE, open_stores


@dataclass(frozen=True)
class Place:
    """Where and with what a turn is run; never part of its identity.

    Args:
        turn: The turn's folder.
        sources: Source name to the place it is read from (`--source NAME=URI`).
        cache: Where downloads are kept; None for the default.
        command: The command line, for manifests.
    """

    turn: Path
    sources: Mapping[str, str]
    cache: Path | None
    command: str


def turn(
    study: Path,
    store: Path,
    *,
    sources: Mapping[str, str] | None = None,
    cache: Path | None = None,
    redo: Sequence[str] = (),
    until: str | None = None,
    next_turn: bool = False,
) -> list[dict[str, Any]]:
    """Run the stages of a study's newest turn, or start its next one.

    Args:
        study: The study file.
        store: The store's root folder.
        sources: Source name to the place it is read from.
        cache: Where downloads are kept; None for the default.
        redo: Stages to make again, with all that depends on them.
        until: The last stage to make; None for all.
        next_turn: Start turn k+1 from turn k's allocation.

    Returns:
        One `turn, stage, did, seconds, folder` a stage.

    Raises:
        BadInput: The study or an input has mistakes; `Stale` for finished stages that the study no longer describes.
    """
    read = read_study(study)
    number = last_turn(store, read)
    if next_turn:
        found = turn_folder(store, read, number) / "allocation" / "allocation.json"
        if not found.is_file():
            bad_input("--next", f"turn {number} has no allocation yet; run polymix turn {study} first")
        number += 1
    place = Place(
        turn_folder(store, read, number),
        sources or {},
        cache,
        f"polymix turn {study} --store {store}",
    )
    _refuse_missing_toolchains(read, place)
    stages = stages_of(read, place)
    check_stages(stages, redo, until)
    _placed(read, place.sources)
    if not (place.turn / "tokens").exists():
        _placed_texts(read, place.sources)
    make_folder(place.turn)
    if number and not redo:
        _take_over(stages, place.turn, turn_folder(store, read, number - 1))
    done = advance(stages, place.turn, redo=redo, until=until)
    return [
        {"turn": number, "stage": kind, "did": did, "seconds": round(seconds, 1), "folder": str(place.turn / kind)}
        for kind, did, seconds in done
    ]


def status(
    study: Path, store: Path, *, sources: Mapping[str, str] | None = None, number: int | None = None
) -> list[dict[str, Any]]:
    """Return how each stage of a turn stands, as rows `turn, stage, state, differing, folder`.

    Raises:
        BadInput: The study has mistakes, or there is no such turn.
    """
    read = read_study(study)
    number = last_turn(store, read) if number is None else number
    folder = turn_folder(store, read, number)
    if number and not folder.is_dir():
        bad_input("--turn", f"there is no turn {number} in {folder.parent}")
    stages = stages_of(read, Place(folder, sources or {}, None, ""))
    return [
        {
            "turn": number,
            "stage": state.kind,
            "state": state.state,
            "differing": list(state.differing),
            "folder": str(folder / state.kind),
        }
        for state in states_of(stages, folder)
    ]


def turn_folder(store: Path, study: Study, number: int) -> Path:
    """Return the folder of a study's turn."""
    return store / study.name / str(number)


def last_turn(store: Path, study: Study) -> int:
    """Return the number of the newest turn, or 0 where there is none."""
    folder = store / study.name
    numbers = [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.is_dir() else []
    return max(numbers, default=0)


def stages_of(study: Study, place: Place) -> list[Stage]:
    """Return the stages of a turn, inputs first."""
    turn = place.turn
    given = _given_allocation(turn)
    languages = list(study.languages)
    planned = _planned_sweep(study, given)

    def corpus(out: Path) -> None:
        from pipelines.corpus import build

        build(
            _placed(study, place.sources),
            out,
            study.corpus,
            cache=place.cache,
            work=turn / ".corpus",
            command=place.command,
        )

    def pairs(out: Path) -> None:
        from parallel_mining.mine import mine

        mine(turn / "corpus", out, study.mining, command=place.command)

    def tokens(out: Path) -> None:
        from pipelines.tokens import tokenize_corpus

        tokenize_corpus(
            turn / "corpus",
            turn / "pairs",
            out,
            study.tokens,
            texts=_placed_texts(study, place.sources),
            command=place.command,
        )

    def parted(out: Path) -> None:
        from pipelines.tokens import tokenize_corpus

        tokenize_corpus(
            turn / "corpus",
            turn / "pairs",
            out,
            study.tokens.model_copy(update={"pair_style": "shuffled"}),
            turn / "tokens" / TOKENIZER_FILE,
            pairs_only=True,
            command=place.command,
        )

    def evaluation(out: Path) -> None:
        from parallel_mining.evaluation import evaluation as make_evaluation

        make_evaluation([turn / "pairs"], out, study.evaluation, corpus=turn / "corpus", command=place.command)

    def shards(out: Path) -> None:
        from pipelines.pack import pack

        allocation = given or _initial_allocation(study, turn / "tokens")
        pack(
            turn / "tokens",
            allocation.scaled(study.shards.tokens),
            study.shards.tokens,
            out,
            settings=study.shards,
            command=place.command,
        )

    def runs(out: Path) -> None:
        from training.sweep import sweep

        sweep(
            planned,
            turn / "tokens",
            out,
            shuffled_dir=turn / PARTED if study.parted else None,
            evaluation=turn / EVALUATION if study.evaluation else None,
            replace=True,
            command=place.command,
        )

    def laws(out: Path) -> None:
        from analysis.fit import fit
        from analysis.runs import PORTION, write_store

        identity = {"runs": read_manifest(turn / "runs")["fingerprint"], "fit": study.fit.model_dump()}

        def fitted(law: str) -> list[dict[str, Any]]:
            return fit(
                turn / "runs",
                law,
                params=study.fit.params,
                loss=study.fit.loss,
                by="language",
                shares=PORTION if law in study.fit.mixture_laws else None,
                bootstrap=study.fit.bootstrap,
                seed=study.fit.seed,
            )

        with creating(out, "laws", identity, command=place.command) as draft:
            fits = fitted(study.fit.law)
            _write_lines(draft.path / "fits.jsonl", fits)
            for law in study.fit.against:
                try:
                    _write_lines(draft.path / other_law_file(law), fitted(law))
                except BadInput as error:
                    say(f"{law} is not asked: {'; '.join(map(str, error.mistakes))}")
            write_store(turn / "runs", draft.path / "runs.duckdb")
            draft.counts["fits"] = len(fits)

    def allocation(out: Path) -> None:
        from analysis.allocate import allocate
        from analysis.transfer import transfer

        asked, fits = study.allocation, turn / "laws" / "fits.jsonl"
        supply = {name: store.tokens for name, store in open_stores(turn / "tokens", "train").items()}
        identity = {
            "laws": read_manifest(turn / "laws")["fingerprint"],
            "supply": supply,
            "allocation": asked.model_dump(),
        }
        if asked.transfer:
            identity["runs"] = read_manifest(turn / "runs")["fingerprint"]
        with creating(out, "allocation", identity, command=place.command) as draft:
            gained = None
            if asked.transfer:
                unit = "nats" if study.fit.loss == "loss_nats" else "bits_per_byte"
                gained = transfer(turn / "runs", fits=fits, unit=unit, params=study.fit.params, seed=study.fit.seed)
                (draft.path / "transfer.json").write_text(json.dumps(gained, indent=2) + "\n")
            others = [turn / "laws" / other_law_file(law) for law in study.fit.against]
            answer = allocate(
                fits,
                tokens=asked.tokens,
                params=asked.params,
                supply=supply,
                weights=asked.weights or None,
                max_epochs=asked.max_epochs,
                prior=asked.prior,
                prior_weight=asked.prior_weight,
                floors=asked.floors or None,
                fixed=asked.fixed or None,
                parallel_share=asked.parallel_share,
                stages=asked.stages,
                transfer=gained,
                against=[file for file in others if file.is_file()],
            )
            (draft.path / "allocation.json").write_text(json.dumps(answer, indent=2) + "\n")

    def report(out: Path) -> None:
        from analysis.report.page import report as write_report

        identity = {kind: read_manifest(turn / kind)["fingerprint"] for kind in KINDS[:-1]}
        with creating(out, "report", identity, command=place.command) as draft:
            write_report(turn, draft.path / "report.html")

    source_identity = [source.model_dump(mode="json") for source in study.sources]
    return [
        Stage(
            "corpus",
            "read, classify, filter, deduplicate and split the sources",
            (),
            {"sources": source_identity, "corpus": study.corpus.identity()},
            corpus,
        ),
        Stage(
            "pairs",
            "match functions across languages and prove the pairs by running them",
            ("corpus",),
            {"mining": study.mining.model_dump(mode="json")},
            pairs,
        ),
        Stage(
            "tokens",
            "train the tokenizer and tokenize every document once",
            ("corpus", "pairs"),
            {
                "tokens": study.tokens.model_dump(mode="json"),
                **({"texts": [text.model_dump() for text in study.texts]} if study.texts else {}),
            },
            tokens,
        ),
        *(
            [
                Stage(
                    PARTED,
                    "tokenize each half of the pairs as a document of its own, to compare pairing with",
                    ("corpus", "pairs", "tokens"),
                    {"tokens": study.tokens.model_dump(mode="json")},
                    parted,
                )
            ]
            if study.parted
            else []
        ),
        *(
            [
                Stage(
                    EVALUATION,
                    "make translation tasks of held-out pairs",
                    ("corpus", "pairs"),
                    {"evaluation": study.evaluation.model_dump(mode="json")},
                    evaluation,
                )
            ]
            if study.evaluation
            else []
        ),
        Stage(
            "shards",
            "pack shards to this turn's allocation",
            ("tokens",),
            {
                "shards": study.shards.model_dump(mode="json"),
                "languages": languages,
                "given": given and given.as_json(),
            },
            shards,
        ),
        Stage(
            "runs",
            "train the sweep",
            ("tokens", *([PARTED] if study.parted else []), *([EVALUATION] if study.evaluation else [])),
            {"sweep": planned.model_dump(mode="json")},
            runs,
        ),
        Stage("laws", "fit a scaling law to each language's loss", ("runs",), {"fit": study.fit.model_dump()}, laws),
        Stage(
            "allocation",
            "allocate the budget to the languages",
            ("laws", "tokens", *(("runs",) if study.allocation.transfer else ())),
            {"allocation": study.allocation.model_dump(mode="json"), "languages": languages},
            allocation,
        ),
        Stage("report", "write the report", KINDS[:-1], {}, report),
    ]


KINDS = ("corpus", "pairs", "tokens", "shards", "runs", "laws", "allocation", "report")
"""The stages of every turn."""
PARTED, EVALUATION = "parted", "evaluation"
"""Those of a study that asks for them: a `tokens` artifact of parted pairs, and an `evaluation` artifact."""


def other_law_file(law: str) -> str:
    """Return the file of a `laws` artifact in which the fits of a law lie that is not the turn's own."""
    return f"against-{law}.jsonl"


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _given_allocation(turn: Path) -> Allocation | None:
    """Return what the turn before found, or None for the first turn."""
    number = int(turn.name)
    return read_allocation(turn.parent / str(number - 1) / "allocation" / "allocation.json") if number else None


def _initial_allocation(study: Study, tokens: Path) -> Allocation:
    """Return the study's own allocation: its shares, or each language alike beside the parallel share.

    The parallel share is spread over the language pairs in proportion to their tokens, so that none is repeated more
    than another.
    """
    settings = study.shards
    if (stated := settings.allocation()) is not None:
        return stated
    shares = {language: (1 - settings.pair_share) / len(study.languages) for language in study.languages}
    if settings.pair_share:
        supply = {name: s.tokens for name, s in open_stores(tokens, "train").items() if name.startswith("pair:")}
        if not supply:
            bad_input("shards.pair_share", f"{settings.pair_share} asked for, but no pair was proved; set it to 0")
        whole = sum(supply.values())
        shares |= {name: settings.pair_share * own / whole for name, own in supply.items()}
    return Allocation(shares)


def _planned_sweep(study: Study, given: Allocation | None) -> SweepSettings:
    """Return the study's sweep; after the first turn with the given allocation and the uniform one as mixtures."""
    if given is None:
        return study.sweep
    mixtures = {"uniform": dict(uniform(list(study.languages)).shares), "recommended": dict(given.shares)}
    return study.sweep.model_copy(update={"mixtures": {**study.sweep.mixtures, **mixtures}, "validate_on": "all"})


def _placed(study: Study, places: Mapping[str, str]) -> list[Source]:
    """Bind the sources of code to their places on this machine.

    Raises:
        BadInput: A place is given for a source that the study does not name.
    """
    names = [*(source.label for source in study.sources), *(text.name for text in study.texts)]
    unknown = [
        Mistake("--source", f"{name!r} is not a source of the study; it names {', '.join(names)}")
        for name in places
        if name not in names
    ]
    if unknown:
        raise BadInput(unknown)
    return [
        source.model_copy(update={"spec": places[source.label], "name": source.label})
        if source.label in places
        else source
        for source in study.sources
    ]


def _placed_texts(study: Study, places: Mapping[str, str]) -> dict[str, Path]:
    """Bind natural language to its places on this machine.

    Raises:
        BadInput: A text is missing, or is not what its checksum says; all are listed.
    """
    from pipelines.text_tables import files_sha256, text_files

    found: dict[str, Path] = {}
    mistakes = Mistakes()
    for text in study.texts:
        path = found[text.name] = Path(places.get(text.name, text.spec))
        with mistakes.noted():
            digest = files_sha256(path, text_files(path)[0])
            if text.sha256 and digest != text.sha256:
                bad_input(
                    path, f"has the checksum {digest}, the study says {text.sha256}; give the text it was made of"
                )
    mistakes.tell()
    return found


def _refuse_missing_toolchains(study: Study, place: Place) -> None:
    """A study that names a language whose toolchain is missing cannot prove its pairs: say so before any work."""
    if (place.turn / "pairs").exists():
        return
    from parallel_mining.drivers import Unavailable, available

    missing = [
        Mistake(f"languages: {language}", f"{found.reason}; {found.install}")
        for language in study.languages
        if isinstance(found := available(language), Unavailable)
    ]
    if missing:
        raise BadInput(
            [*missing, Mistake("languages", "install what is missing, or take the language out of the study")]
        )


def _take_over(stages: Sequence[Stage], turn: Path, before: Path) -> None:
    """Link the artifacts of the turn before that this turn would make just the same."""
    for stage in stages:
        here, there = turn / stage.kind, before / stage.kind
        if here.exists() or not (there / "manifest.json").is_file() or stage.kind == "report":
            continue
        partial = turn / f".{stage.kind}.link"
        partial.unlink(missing_ok=True)
        partial.symlink_to(os.path.relpath(there, turn))
        partial.rename(here)
        state = next(state for state in states_of(stages, turn) if state.kind == stage.kind)
        if state.state == "done":
            say(f"{stage.kind}: the same as in turn {before.name}, taken over")
        else:
            here.unlink()
