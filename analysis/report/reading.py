"""Where a report's figures come from: the turn folder, its artifacts, and SQL over their files.

Start at `find_turn` (which folder), then `Reading.ask` (one SQL file of `analysis/sql`, run as it stands). Always: SQL
names files relative to the turn folder, so `cd TURN && duckdb < report_x.sql` gives the same rows; every answer keeps
the SQL that was run and the files and commands behind it; no extension is fetched and nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import duckdb

from quality.artifacts import MANIFEST, read_manifest
from quality.mistakes import BadInput, Mistake, bad_input

# Kind -> the command that makes it, in the order of the loop.
KINDS: dict[str, str] = {
    "corpus": "polymix build SOURCE... --out TURN/corpus",
    "pairs": "polymix mine TURN/corpus --out TURN/pairs",
    "tokens": "polymix turn STUDY.toml",
    "shards": "polymix pack --corpus TURN/corpus --allocation A.json --tokens N --out TURN/shards",
    "runs": "polymix sweep SWEEP.toml --out TURN/runs",
    "laws": "polymix turn STUDY.toml",
    "allocation": "polymix turn STUDY.toml",
}

State = Literal["finished", "unfinished", "missing"]
_NAMED_FILE = re.compile(rf"'((?:{'|'.join(KINDS)}|\*)/[^']+)'")
_GLOB_SIGNS = re.compile(r"([\[\]*?])")


@dataclass(frozen=True)
class Artifact:
    """One artifact of a turn as found on disk.

    Args:
        kind: `corpus`, `pairs`, ...
        state: Unfinished means that the folder is there without its manifest.
        manifest: The manifest, empty unless finished.
    """

    kind: str
    state: State
    manifest: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def command(self) -> str:
        """The command that made it, or the one that would."""
        return str(self.manifest.get("command") or KINDS[self.kind])


@dataclass(frozen=True)
class Where:
    """Where figures come from.

    Args:
        query: The name of the SQL file.
        sql: Its text, as it was run.
        files: Files or globs it reads, relative to the turn folder.
        artifacts: The artifacts these files belong to.
    """

    query: str
    sql: str
    files: tuple[str, ...]
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class Answer:
    """The rows that one SQL file gave.

    Args:
        where: The SQL and what it read.
        columns: Names, in order.
        rows: Values, one tuple a row.
    """

    where: Where
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True)
class Reading:
    """An open turn folder.

    Args:
        folder: The turn folder.
        study: The name of the study.
        turn: The number of the turn, as its folder is named.
        artifacts: All kinds, also those that are missing.
        connection: DuckDB, in memory.
        answers: What was asked already, by query.
    """

    folder: Path
    study: str
    turn: str
    artifacts: Mapping[str, Artifact]
    connection: duckdb.DuckDBPyConnection
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])

    def has(self, *kinds: str) -> bool:
        """Return whether all these artifacts are finished."""
        return all(self.artifacts[kind].state == "finished" for kind in kinds)

    def holds(self, pattern: str) -> bool:
        """Return whether a file or glob, relative to the turn folder, matches anything."""
        return any(self.folder.glob(pattern))

    def ask(self, query: str) -> Answer:
        """Run one SQL file of `analysis/sql` on the turn's files.

        Args:
            query: The file's name without `.sql`.

        Raises:
            BadInput: A file that it reads is damaged or lacks a column.
        """
        if query in self.answers:
            return self.answers[query]
        where = self.where(query)
        try:
            result = self.connection.execute(self._in_place(where.sql))
            columns = tuple(str(column[0]) for column in result.description)
            rows = tuple(tuple(row) for row in result.fetchall())
        except duckdb.Error as error:
            raise BadInput([self._mistake(where, str(error).splitlines()[0])]) from error
        self.answers[query] = Answer(where, columns, rows)
        return self.answers[query]

    def check(self) -> None:
        """Ask everything that finished artifacts can answer.

        Raises:
            BadInput: Files of the turn are damaged: all of them are named.
        """
        folder = files("analysis").joinpath("sql")
        mistakes: dict[Mistake, None] = {}
        for name in sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("report_")):
            query = name.removesuffix(".sql")
            kinds = {kind for kind in KINDS for file in self.where(query).files if file.startswith(f"{kind}/")}
            if not self.has(*kinds) or (not kinds and not all(map(self.holds, self.where(query).files))):
                continue
            try:
                self.ask(query)
            except BadInput as error:
                mistakes.update(dict.fromkeys(error.mistakes))
        if mistakes:
            raise BadInput(mistakes)

    def allocation(self) -> dict[str, Any]:
        """Return what `allocation.json` holds.

        Raises:
            BadInput: The file is missing or is not JSON.
        """
        return self._json("allocation", "allocation.json")[0]

    def fits(self) -> list[dict[str, Any]]:
        """Return the lines of `fits.jsonl`.

        Raises:
            BadInput: The file is missing or a line of it is not JSON.
        """
        return self._json("laws", "fits.jsonl")

    def _json(self, kind: str, name: str) -> list[dict[str, Any]]:
        path = self.folder / kind / name
        try:
            text = path.read_text(encoding="utf-8")
            parts = text.splitlines() if name.endswith(".jsonl") else [text]
            return [json.loads(part) for part in parts if part.strip()]
        except (OSError, ValueError) as error:
            bad_input(path, f"cannot be read ({error}); make it again with `{self.artifacts[kind].command}`")

    def _mistake(self, where: Where, why: str) -> Mistake:
        named = [name for name in where.files if "*" not in name and str(self.folder / name) in why]
        files_ = named or where.files
        kinds = [a for a in where.artifacts if any(name.startswith((f"{a.kind}/", "*/")) for name in files_)]
        remedy = "`, then `".join(dict.fromkeys(artifact.command for artifact in kinds))
        return Mistake(
            ", ".join(str(self.folder / name) for name in files_),
            f"cannot be read ({why.strip()}); it is damaged, missing or of another version: make it again with"
            f" `{remedy}`",
        )

    def _in_place(self, sql: str) -> str:
        # DuckDB looks into the working directory before `file_search_path`, so relative names are completed here.
        folder = _GLOB_SIGNS.sub(r"[\1]", str(self.folder)).replace("'", "''")
        return _NAMED_FILE.sub(lambda name: f"'{folder}/{name[1]}'", sql)

    def where(self, query: str) -> Where:
        """Return the SQL of a query and what it reads, without running it."""
        sql = files("analysis").joinpath("sql", f"{query}.sql").read_text(encoding="utf-8").strip()
        named = tuple(dict.fromkeys(_NAMED_FILE.findall(sql)))
        kinds = dict.fromkeys(
            kind for name in named for kind in KINDS if name.startswith((f"{kind}/", "*/")) and self.has(kind)
        )
        return Where(query, sql, named, tuple(self.artifacts[kind] for kind in kinds))


def find_turn(store: Path | str) -> Path:
    """Return the turn folder that a path means.

    Args:
        store: A turn folder, a study folder (its latest turn), or a store with one study.

    Raises:
        BadInput: There is no such folder, no turn in it, or more than one study.
    """
    path = Path(store)
    if not path.is_dir():
        what = "a file" if path.exists() else "no such folder"
        bad_input(path, f"{what}; name a store, a study or a turn folder that `polymix turn` made")
    if (path / MANIFEST).is_file():
        kind = read_manifest(path).get("kind")
        if kind in KINDS:
            if path.name == kind:
                bad_input(path, f"is the {kind} of a turn, not the turn; name the folder above it: {path.parent}")
            bad_input(path, f"is one {kind} artifact; a report reads a folder that holds it under the name `{kind}`")
    if _artifacts_in(path):
        return path
    turns = _turns_in(path)
    if turns:
        return turns[-1]
    studies = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _turns_in(folder)]
    if len(studies) == 1:
        return _turns_in(studies[0])[-1]
    if studies:
        names = ", ".join(str(path / study.name) for study in studies)
        what = f"holds {len(studies)} studies; name one of them: {names}"
    else:
        what = (
            f"holds no artifact of polymix (a finished one is a folder {', '.join(KINDS)} with a {MANIFEST} in it);"
            " make one with `polymix build` or all of them with `polymix turn STUDY.toml`"
        )
    raise BadInput([Mistake(str(path), what)])


def _artifacts_in(folder: Path) -> list[str]:
    return [kind for kind in KINDS if (folder / kind / MANIFEST).is_file()]


def _turns_in(folder: Path) -> list[Path]:
    turns = [turn for turn in folder.iterdir() if turn.is_dir() and turn.name.isdecimal() and _artifacts_in(turn)]
    return sorted(turns, key=lambda turn: int(turn.name))


def _read_artifacts(folder: Path) -> dict[str, Artifact]:
    found: dict[str, Artifact] = {}
    mistakes: list[Mistake] = []
    for kind in KINDS:
        place = folder / kind
        if not (place / MANIFEST).is_file():
            found[kind] = Artifact(kind, "unfinished" if place.is_dir() else "missing")
            continue
        try:
            found[kind] = Artifact(kind, "finished", read_manifest(place, kind))
        except BadInput as error:
            mistakes += error.mistakes
    if mistakes:
        raise BadInput(mistakes)
    return found


@contextlib.contextmanager
def reading(store: Path | str) -> Iterator[Reading]:
    """Open a turn folder for reading.

    Args:
        store: What `find_turn` takes.

    Raises:
        BadInput: There is no turn, or a manifest in it is damaged.
    """
    folder = find_turn(store).resolve()
    artifacts = _read_artifacts(folder)
    numbered = folder.name.isdecimal()
    # One thread adds numbers up in one order: the same artifacts give the same page to the byte.
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": "1",
        }
    )
    try:
        yield Reading(
            folder=folder,
            study=folder.parent.name if numbered else folder.name,
            turn=folder.name if numbered else "",
            artifacts=artifacts,
            connection=connection,
        )
    finally:
        connection.close()
