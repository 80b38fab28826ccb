"""Runs of any origin into one DuckDB file of runs and evaluations, from which laws are fitted.

Start at `ingest`. It reads our own `runs` artifacts; tables (CSV, TSV, Parquet, JSON, JSON Lines), wide ones with a row
a run or checkpoint and a column a loss, or long ones with a row a loss and its `language`; what Weights & Biases gives
away, as tables of runs or histories (`wandb_exports`); and folders of TensorBoard's event files. What always holds:
the same input twice changes nothing; a run that is there with other numbers is refused, not overwritten; an input with
anything wrong is refused whole, with every row named.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb

from analysis.events import PATTERN, scalars
from analysis.runs import statement
from analysis.wandb_exports import STEP, flat, is_history, json_rows
from quality.artifacts import check_file, read_manifest
from quality.mistakes import BadInput, Mistake, bad_input

Counted = Literal["total", "non_embedding"]
UNITS = ("nats", "bits_per_byte")
FINISHED = ("finished",)
NAMES = ("name", "Name", "run_id")
STATES = ("State", "state", "status")
"""How a run ended. The first two are what W&B calls it."""
READERS = {
    ".csv": "read_csv(?, header = true, sample_size = -1)",
    ".tsv": "read_csv(?, header = true, sample_size = -1, delim = '\t')",
    ".parquet": "read_parquet(?)",
}
JSON = (".json", ".jsonl")
NO_LANGUAGE = "all"
"""What a loss is measured on where nothing says it."""
_NAMED = 20


@dataclass(frozen=True)
class Reading:
    """How the columns, or the scalars, of an input are to be read.

    Args:
        params: Column of parameter counts; or, where the input has none, the count itself.
        counted: Whether these count embeddings (`total`) or not; None where the column's name says it.
        tokens: Column of training tokens; of event files, the scalar that holds them.
        tokens_per_step: Of event files and histories without it: tokens a step.
        loss: Columns, or scalars, of losses; by default all that end in `loss` (of event files: that hold `val` too).
        unit: Of the losses: `nats` a token, or `bits_per_byte`; None where the columns' names say it.
        name: Column of the runs' names; None: the first of `NAMES` that there is, or else every row is a run of its
            own, and a history that of one run with the file's name.
        language: Column that says what a loss was measured on, of long tables; None: `language`, where it exists and
            the losses' names do not say it.
        shares: What the names of the columns of shares begin with, or None.
    """

    params: str | None = None
    counted: Counted | None = None
    tokens: str | None = None
    tokens_per_step: float | None = None
    loss: tuple[str, ...] = ()
    unit: str | None = None
    name: str | None = None
    language: str | None = None
    shares: str | None = None


@dataclass
class _Run:
    name: str
    kind: str
    params: dict[str, float]
    shares: dict[str, float] | None
    status: str
    evaluations: dict[tuple[str, float], tuple[float, str]] = field(default_factory=dict)

    def digest(self) -> str:
        content = [self.params, self.shares, self.status, sorted(map(repr, self.evaluations.items()))]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Found:
    """Runs read so far, and what is wrong with them by kind of mistake, so that rows are named together."""

    def __init__(self) -> None:
        self.runs: dict[str, _Run] = {}
        self._wrong: dict[tuple[str, str], list[str]] = {}

    def wrong(self, where: str, what: str, row: object) -> None:
        self._wrong.setdefault((where, what), []).append(str(row))

    def mistakes(self) -> list[Mistake]:
        return [
            Mistake(where, what.format(rows=", ".join(rows[:_NAMED]) + (" ..." if len(rows) > _NAMED else "")))
            for (where, what), rows in self._wrong.items()
        ]


def ingest(
    sources: Sequence[Path | str],
    into: Path | str,
    *,
    study: str = "default",
    reading: Reading | None = None,
    finished_only: bool = False,
) -> dict[str, int]:
    """Add runs to a database of runs and evaluations.

    Args:
        sources: `runs` artifacts, tables, exports of W&B, or folders of event files.
        into: The database; made where it does not exist.
        study: What the runs belong to; runs of the same name in different studies are different runs.
        reading: How columns are to be read; every default is in `Reading`.
        finished_only: Leave out runs that are not finished instead of refusing.

    Returns:
        `runs`, `evaluations` and `unchanged` (runs that were there already), and `unfinished` (left out).

    Raises:
        BadInput: Something is wrong with any of it; all mistakes are named, and the database stays as it was.
    """
    check_file(into)
    found, reading = _Found(), reading or Reading()
    for source in sources:
        _read(Path(source), reading, found)
    unfinished = [key for key, run in found.runs.items() if run.status not in FINISHED]
    if finished_only:
        for key in unfinished:
            del found.runs[key]
    else:
        for key in unfinished:
            run = found.runs[key]
            found.wrong("unfinished runs", "{rows}; leave them out with --finished-only", f"{run.name} ({run.status})")
    mistakes = found.mistakes()
    if not found.runs and not mistakes:
        mistakes.append(Mistake(", ".join(map(str, sources)), "no runs in there"))
    if mistakes:
        raise BadInput(mistakes)
    counts = _write(Path(into), study, found.runs)
    return {**counts, "unfinished": len(unfinished) if finished_only else 0}


# --- Reading ----------------------------------------------------------------------------------------------------------


def _read(source: Path, reading: Reading, found: _Found) -> None:
    if source.is_dir() and (source / "manifest.json").is_file():
        read_manifest(source, "runs")
        with duckdb.connect() as connection:
            for name in ("runs", "evaluations"):
                connection.execute(
                    f"CREATE TABLE {name} AS SELECT * FROM read_parquet(?)", [str(source / f"{name}.parquet")]
                )
            rows = _rows(connection, statement("ingest_artifact"))
        _artifact(rows, found)
    elif source.is_dir():
        _events(source, reading, found)
    elif not source.is_file():
        bad_input(source, "no such file or folder; give a `runs` artifact, a table, or a folder of event files")
    elif source.suffix.lower() in JSON:
        _table(source, json_rows(source), reading, found)
    elif source.suffix.lower() not in READERS:
        ending, known = source.suffix or "a file without ending", ", ".join([*READERS, *JSON])
        bad_input(source, f"{ending} is not read; use one of {known}")
    else:
        with duckdb.connect() as connection:
            try:
                rows = _rows(connection, f"SELECT * FROM {READERS[source.suffix.lower()]}", [str(source)])
            except duckdb.Error as error:
                bad_input(source, f"cannot be read ({str(error).strip().splitlines()[0][:200]}); export it again")
        _table(source, rows, reading, found)


def _rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    result = connection.execute(query, list(parameters))
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _artifact(rows: Sequence[Mapping[str, Any]], found: _Found) -> None:
    for row in rows:
        run = found.runs.setdefault(
            row["name"],
            _Run(
                row["name"],
                "polymix",
                {name: float(row[name]) for name in ("params_total", "params_non_embedding")},
                dict(row["shares"]),
                row["status"],
            ),
        )
        run.evaluations[row["language"], float(row["tokens"])] = (float(row["loss"]), "bits_per_byte")


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are what.

    Args:
        name: Of runs, or None.
        state: How a run ended, or None.
        params: Of parameter counts, or None where `size` is the count of all.
        size: That count, or None.
        counted: Whether counts have embeddings.
        tokens: Of training tokens, or None where steps are counted.
        losses: Of losses, each with its unit, None where every row says it.
        language: Of what a loss was measured on, or None where the losses' names say it.
        shares: Of shares, each with its source.
        steps: Whether rows are steps of runs, in which metrics may be missing.
    """

    name: str | None
    state: str | None
    params: str | None
    size: float | None
    counted: Counted
    tokens: str | None
    losses: Mapping[str, str | None]
    language: str | None
    shares: Mapping[str, str]
    steps: bool


def _columns_of(source: Path, columns: Sequence[str], reading: Reading, steps: bool) -> _Columns:
    """Return which columns are what.

    Raises:
        BadInput: Something that is needed is not there, or is not told; all is named.
    """
    losses = reading.loss or tuple(
        column for column in columns if column.endswith(("loss", "loss_nats", "bits_per_byte"))
    )
    mistakes = [Mistake(f"{source}: --loss", f"no column {loss!r}") for loss in losses if loss not in columns]
    if not losses:
        mistakes.append(Mistake(f"{source}: --loss", f"name the columns of losses; there are {', '.join(columns)}"))
    nameless = [loss for loss in losses if _language(loss) == NO_LANGUAGE]
    language = reading.language or ("language" if "language" in columns and nameless else None)
    if language is not None and language not in columns:
        mistakes.append(Mistake(f"{source}: --language", f"no column {language!r}; name one of {', '.join(columns)}"))
    elif language is not None and len(losses) > 1:
        mistakes.append(
            Mistake(
                f"{source}: --loss",
                f"a row has one loss, measured on its {language}, but there are {', '.join(losses)}; name one",
            )
        )
    size = _number(reading.params) if reading.params not in columns else math.nan
    params: str | Mistake | None = None
    if not size > 0:
        usual = ("params_non_embedding", "params_total", "params")
        params = _chosen(source, columns, reading.params, usual, "--params")
    tokens: str | Mistake | None = None
    if not (steps and reading.tokens_per_step):
        tokens = _chosen(source, columns, reading.tokens, ("tokens",), "--tokens")
    for column in (params, tokens):
        if isinstance(column, Mistake):
            mistakes.append(column)
    counted = reading.counted or _counted(str(params))
    if not isinstance(params, Mistake) and counted is None:
        mistakes.append(
            Mistake(
                f"{source}: {params or '--params'}",
                "with or without embeddings? say --counted total or --counted non_embedding: a fit needs one of them",
            )
        )
    units = {loss: reading.unit or _unit(loss) for loss in losses}
    mistakes += [
        Mistake(f"{source}: {loss}", f"in which unit? say --unit {' or --unit '.join(UNITS)}")
        for loss, unit in units.items()
        if unit is None and "unit" not in columns
    ]
    if reading.name is not None and reading.name not in columns:
        mistakes.append(Mistake(f"{source}: --name", f"no column {reading.name!r}; name one of {', '.join(columns)}"))
    if mistakes:
        raise BadInput(mistakes)
    return _Columns(
        reading.name or next((column for column in NAMES if column in columns), None),
        next((column for column in STATES if column in columns), None),
        str(params) if params else None,
        size if size > 0 else None,
        counted or "total",
        str(tokens) if tokens else None,
        units,
        language,
        {column: column.removeprefix(reading.shares) for column in columns if column.startswith(reading.shares)}
        if reading.shares
        else {},
        steps,
    )


def _table(source: Path, given: Sequence[Mapping[str, Any]], reading: Reading, found: _Found) -> None:
    if not given:
        bad_input(source, "holds no rows; one row a run or checkpoint is needed")
    steps = is_history(given)
    rows = flat(source, given)
    chosen = _columns_of(source, list(rows[0]), reading, steps)
    wandb = chosen.steps or chosen.state in STATES[:2]
    for line, row in enumerate(rows, 1):
        # A history has many steps at which none of the losses was measured.
        losses = {loss: _number(row[loss]) for loss in chosen.losses}
        if chosen.steps and all(math.isnan(value) for value in losses.values()):
            continue
        label = str(row[chosen.name]) if chosen.name and row[chosen.name] is not None else None
        n = chosen.size or _number(row[str(chosen.params)])
        d = (
            _number(row[chosen.tokens])
            if chosen.tokens is not None
            else _number(row[STEP]) * (reading.tokens_per_step or math.nan)
        )
        for column, value in ((chosen.params or "--params", n), (chosen.tokens or STEP, d)):
            if not 0 < value < math.inf:
                found.wrong(f"{source}: {column}", "no positive number in rows {rows}", line)
        shares = {name: _number(row[column]) for column, name in chosen.shares.items()}
        if shares and not abs(sum(shares.values()) - 1) < 0.02:
            found.wrong(f"{source}: --shares", "missing, or not summing to 1, in rows {rows}", line)
        own = "" if chosen.language is None else str(row[chosen.language] or "").strip()
        if chosen.language is not None and not own:
            found.wrong(f"{source}: {chosen.language}", "missing in rows {rows}", line)
        if not (0 < n < math.inf and 0 < d < math.inf) or (chosen.language is not None and not own):
            continue
        if label is None and chosen.steps:
            label = source.stem
        elif label is None:
            # Without shares, nothing says that losses on two languages are of one run.
            alone = own if not shares else ""
            label = f"{f'{alone} ' if alone else ''}{n:.17g} {d:.17g} {json.dumps(shares, sort_keys=True)}"
        status = str(row[chosen.state] or "").lower() if chosen.state else "finished"
        run = found.runs.setdefault(
            label,
            _Run(
                label,
                "wandb" if wandb else "table",
                {f"params_{chosen.counted}": n},
                shares or None,
                status or "finished",
            ),
        )
        if run.params != {f"params_{chosen.counted}": n}:
            found.wrong(f"{source}: {chosen.params}", "one run with several sizes: {rows}", label)
        for loss, value in losses.items():
            if chosen.steps and math.isnan(value):
                continue
            unit = chosen.losses[loss] or str(row["unit"])
            language = own or _language(loss)
            if not (math.isfinite(value) and value > 0):
                found.wrong(f"{source}: {loss}", "no positive number in rows {rows}", line)
            elif unit not in UNITS:
                found.wrong(f"{source}: unit", f"{unit!r} is not one of {', '.join(UNITS)}, in rows {{rows}}", line)
            elif (language, d) in run.evaluations:
                found.wrong(
                    f"{source}: {loss}",
                    "rows {rows} stand there twice (same run, language and tokens); tell runs apart with --name COLUMN,"
                    " or give what a run is measured on columns of its own, such as python_loss, go_loss, or --language"
                    " COLUMN",
                    line,
                )
            else:
                run.evaluations[language, d] = (value, unit)


def _chosen(
    source: Path, columns: Sequence[str], asked: str | None, usual: Sequence[str], option: str
) -> str | Mistake:
    names = (asked,) if asked else usual
    return next(
        (name for name in names if name in columns),
        Mistake(f"{source}: {option}", f"no column {' or '.join(names)}; name one of {', '.join(columns)}"),
    )


def _events(folder: Path, reading: Reading, found: _Found) -> None:
    files = sorted(folder.rglob(PATTERN))
    if not files:
        bad_input(folder, "holds neither a manifest of runs nor event files of TensorBoard")
    mistakes: list[Mistake] = []
    params = _number(reading.params)
    if not params > 0:
        mistakes.append(Mistake("--params", "event files do not say how large the model is; give its parameters"))
    if reading.counted is None:
        mistakes.append(Mistake("--counted", "say whether --params counts embeddings: total or non_embedding"))
    if reading.unit is None:
        mistakes.append(Mistake("--unit", f"event files do not say the unit of a loss; one of {', '.join(UNITS)}"))
    if reading.tokens is None and reading.tokens_per_step is None:
        mistakes.append(Mistake("--tokens", "name the scalar that holds tokens, or give --tokens-per-step"))
    if mistakes:
        raise BadInput(mistakes)
    places = {path.parent for path in files}
    for place in sorted(places):
        name = str(place.relative_to(folder)) if place != folder else folder.name
        series: dict[str, dict[int, float]] = {}
        whole = True
        for path in sorted(place.glob(PATTERN)):
            rows, complete = scalars(path)
            whole &= complete
            for tag, step, value in rows:
                series.setdefault(tag, {})[step] = value
        losses = reading.loss or tuple(sorted(tag for tag in series if "val" in tag.lower() and tag.endswith("loss")))
        if place != folder and place.parent in places and not any(tag in series for tag in losses):
            # `add_scalars` keeps each line of a chart in a folder of its own below the run's.
            continue
        if not losses:
            found.wrong(f"{folder}: --loss", "no scalar of a validation loss in {rows}; name one", name)
            continue
        run = _Run(
            name, "tensorboard", {f"params_{reading.counted}": params}, None, "finished" if whole else "cut short"
        )
        found.runs[name] = run
        for tag in losses:
            if tag not in series:
                found.wrong(f"{folder}: {tag}", "no such scalar in {rows}", name)
            for step, value in series.get(tag, {}).items():
                tokens = (
                    series.get(reading.tokens, {}).get(step, math.nan)
                    if reading.tokens
                    else step * (reading.tokens_per_step or math.nan)
                )
                if not (tokens > 0 and math.isfinite(value) and value > 0):
                    found.wrong(f"{folder}: {tag}", "no tokens or no positive loss at {rows}", f"{name} step {step}")
                else:
                    run.evaluations[_language(tag), tokens] = (value, str(reading.unit))


def _counted(column: str) -> Counted | None:
    return "non_embedding" if "non_embedding" in column else "total" if "total" in column else None


def _unit(column: str) -> str | None:
    return "bits_per_byte" if "bits_per_byte" in column else "nats" if "nats" in column else None


def _language(column: str) -> str:
    """Return what a loss is measured on, from the name of its column or scalar."""
    name = column.replace("bits_per_byte", "").replace("loss_nats", "").replace("nats", "").removesuffix("loss")
    return name.strip("_/. ") or NO_LANGUAGE


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


# --- Writing ----------------------------------------------------------------------------------------------------------


def _write(path: Path, study: str, runs: Mapping[str, _Run]) -> dict[str, int]:
    """Add runs in one transaction.

    Raises:
        BadInput: The database holds a run of the same name with other numbers, or losses in another unit.
    """
    counts = {"runs": 0, "evaluations": 0, "unchanged": 0}
    try:
        connection = duckdb.connect(str(path))
    except duckdb.Error as error:
        bad_input(path, f"cannot be opened as a DuckDB database ({str(error).strip().splitlines()[0][:200]})")
    with connection:
        connection.execute("BEGIN")
        connection.execute(statement("ingest_tables"))
        there = dict(connection.execute("SELECT run_id, digest FROM runs").fetchall())
        units = {(row[0], row[1]): row[2] for row in connection.execute(statement("ingest_units")).fetchall()}
        wrong = _Found()
        for run in runs.values():
            run_id = hashlib.sha256(json.dumps([study, run.name]).encode()).hexdigest()[:16]
            if there.get(run_id) == run.digest():
                counts["unchanged"] += 1
                continue
            if run_id in there:
                wrong.wrong(
                    str(path), "these runs are there with other numbers: {rows}; name another --study", run.name
                )
                continue
            for language, unit in {(language, unit) for (language, _), (_, unit) in run.evaluations.items()}:
                if units.setdefault((study, language), unit) != unit:
                    wrong.wrong(
                        f"{path}: {language}",
                        f"in {unit}, but losses of study {study!r} on it are in {units[study, language]}: {{rows}}",
                        run.name,
                    )
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    run_id,
                    run.name,
                    study,
                    run.kind,
                    run.params.get("params_total"),
                    run.params.get("params_non_embedding"),
                    run.shares,
                    run.status,
                    run.digest(),
                ],
            )
            connection.executemany(
                "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)",
                [
                    [run_id, language, tokens, loss, unit]
                    for (language, tokens), (loss, unit) in sorted(run.evaluations.items())
                ],
            )
            counts["runs"] += 1
            counts["evaluations"] += len(run.evaluations)
        mistakes = wrong.mistakes()
        connection.execute("ROLLBACK" if mistakes else "COMMIT")
    if mistakes:
        raise BadInput(mistakes)
    return counts
