"""How a study's stages are skipped, refused or run: a small build system over artifacts.

A stage makes one artifact. What it depends on is its *stage identity*: the part of the study that it reads and the
fingerprints of the artifacts that it takes in. The identity is written into the artifact's manifest (key `stage`) when
the stage is done, so that a kill between the two leaves a stage that simply runs again. `state_of` compares what is on
disk with what the study asks for; `advance` runs what is missing and refuses what is stale, until told to redo it.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from quality.artifacts import MANIFEST, differences, read_manifest, write_atomically
from quality.mistakes import BadInput, Mistake, Stale, bad_input
from quality.progress import say


@dataclass(frozen=True)
class Stage:
    """One step of a turn.

    Args:
        kind: The artifact it makes, and its folder's name.
        answers: What it is for, in a few words.
        inputs: The kinds it reads.
        identity: The part of the study it depends on, as JSON.
        run: Makes the artifact at the given folder.
    """

    kind: str
    answers: str
    inputs: tuple[str, ...]
    identity: Mapping[str, Any]
    run: Callable[[Path], None]


@dataclass(frozen=True)
class State:
    """How a stage stands.

    Args:
        kind: The stage's artifact.
        state: `done`, `stale` (made from something else), `partial` (a try was stopped; it goes on from there or starts
            again) or `missing`.
        differing: For a stale stage: `field: made with OLD, the study says NEW`.
    """

    kind: str
    state: Literal["done", "stale", "partial", "missing"]
    differing: tuple[str, ...] = ()


def stage_identity(stage: Stage, turn: Path) -> dict[str, Any]:
    """Return what a stage depends on now; inputs that do not exist yet stand as null."""
    inputs = {kind: read_manifest(turn / kind)["fingerprint"] for kind in stage.inputs if (turn / kind).exists()}
    return json.loads(json.dumps({**stage.identity, "inputs": {kind: inputs.get(kind) for kind in stage.inputs}}))


def state_of(stage: Stage, turn: Path) -> State:
    """Compare a stage's artifact with what the study asks for."""
    folder = turn / stage.kind
    if (folder / MANIFEST).is_file():
        made_from = read_manifest(folder).get("stage")
        if isinstance(made_from, dict):
            differing = tuple(differences(made_from, stage_identity(stage, turn), now="the study says"))
            return State(stage.kind, "stale" if differing else "done", differing)
        return State(stage.kind, "partial")
    return State(stage.kind, "partial" if folder.with_name(f".{stage.kind}.draft").exists() else "missing")


def states_of(stages: Sequence[Stage], turn: Path) -> list[State]:
    """Compare every stage, in order; what depends on a stage that is not done is itself no longer `done`."""
    states: list[State] = []
    unfinished: set[str] = set()
    for stage in stages:
        state = state_of(stage, turn)
        behind = sorted(unfinished & set(stage.inputs))
        if state.state == "done" and behind:
            state = State(stage.kind, "stale", tuple(f"inputs.{kind}: is to be made again" for kind in behind))
        if state.state != "done":
            unfinished.add(stage.kind)
        states.append(state)
    return states


@contextmanager
def locked(turn: Path) -> Iterator[None]:
    """Hold a turn's folder for one process.

    Raises:
        BadInput: Another process is working on it.
    """
    turn.mkdir(parents=True, exist_ok=True)
    with (turn / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            bad_input(turn, "another polymix process is working on this turn; wait for it or end it")
        yield


def check_stages(stages: Sequence[Stage], redo: Sequence[str], until: str | None) -> None:
    """Check the stages that a caller names.

    Raises:
        BadInput: An unknown kind in `redo` or `until`.
    """
    kinds = [stage.kind for stage in stages]
    wrong = [
        Mistake(option, f"{kind!r} is not a stage; stages: {', '.join(kinds)}")
        for option, named in (("--redo", redo), ("--until", [until] if until else []))
        for kind in named
        if kind not in kinds
    ]
    if wrong:
        raise BadInput(wrong)


def advance(
    stages: Sequence[Stage], turn: Path, *, redo: Sequence[str] = (), until: str | None = None
) -> list[tuple[str, str, float]]:
    """Run the stages of a turn in order.

    Args:
        stages: In an order in which inputs come first.
        turn: The turn's folder.
        redo: Kinds to make again; everything that depends on them is made again too.
        until: The last kind to make, or None for all.

    Returns:
        One `(kind, "ran" or "skipped", seconds)` a stage.

    Raises:
        Stale: A finished stage was made from something else and is not in `redo` (nothing is run or changed).
        BadInput: An unknown kind in `redo` or `until`.
    """
    check_stages(stages, redo, until)
    again = set(redo)
    for stage in stages:
        if again & set(stage.inputs):
            again.add(stage.kind)
    if until is not None:
        stages = stages[: [stage.kind for stage in stages].index(until) + 1]
    with locked(turn):
        _refuse_stale(stages, turn, again)
        done: list[tuple[str, str, float]] = []
        for number, stage in enumerate(stages, 1):
            label = f"[{number}/{len(stages)}] {stage.kind}"
            if state_of(stage, turn).state == "done" and stage.kind not in redo:
                say(f"{label}: finished before, skipped")
                done.append((stage.kind, "skipped", 0.0))
                continue
            say(f"{label}: {stage.answers}")
            started = time.monotonic()
            identity = stage_identity(stage, turn)
            stage.run(turn / stage.kind)
            _sign(turn / stage.kind, identity)
            seconds = time.monotonic() - started
            say(f"{label}: done in {seconds:.0f} s")
            done.append((stage.kind, "ran", seconds))
        return done


def _refuse_stale(stages: Sequence[Stage], turn: Path, again: set[str]) -> None:
    """Raise for stages whose own fields changed; those that follow from one to be redone are not the user's to name."""
    stale: list[Mistake] = []
    for stage in stages:
        state = state_of(stage, turn)
        if state.state == "stale" and stage.kind not in again:
            stale += [Mistake(f"{turn / stage.kind}", field) for field in state.differing]
    if stale:
        first = next(s.kind for s in stages if state_of(s, turn).state == "stale" and s.kind not in again)
        stale.append(
            Mistake(
                "stale",
                f"nothing was changed; make it and what depends on it again with --redo {first}, or undo the edit",
            )
        )
        raise Stale(stale)


def _sign(folder: Path, identity: Mapping[str, Any]) -> None:
    manifest = read_manifest(folder)
    manifest["stage"] = identity
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
