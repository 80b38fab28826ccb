"""The table of runs: read from whatever holds it, joined, checked, and open to SQL.

Start at `read_runs`. DuckDB reads CSV, Parquet, JSON Lines, a database file, or a `runs` artifact; the SQL stands in
`analysis/sql`. What always holds: a `RunTable` has at least one row, finite positive numbers only, no row twice, and
one unit of loss; every reason why a table is refused is reported at once, with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from analysis.laws import Points
from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake, bad_input

PARAMS_NAMES = ("params_non_embedding", "params", "params_total")
TOKENS_NAMES = ("tokens",)
LOSS_NAMES = ("bits_per_byte", "loss_nats", "loss")
UNITS = {"bits_per_byte": "bits_per_byte", "loss_nats": "nats"}
"""The unit a loss column's name promises: bits a byte of text, or nats a token."""
PORTION = "share_"
"""What the columns of shares begin with that a `runs` artifact is read with."""
_ROWS_NAMED = 20
ROUNDED = 0.02
"""Shares may miss 1 by this, from rounding each to the third digit, and are scaled to sum to 1."""

RUN_POINT_SCHEMA = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),  # the row in the input, counted from 1
        pa.field("group", pa.string()),
        pa.field("params", pa.float64(), nullable=False),
        pa.field("tokens", pa.float64(), nullable=False),
        pa.field("loss", pa.float64(), nullable=False),
        pa.field("shares", pa.list_(pa.float64())),  # of each source, in the order of RunTable.sources
        pa.field("unique", pa.float64()),  # unique tokens among `tokens`
        pa.field("weight", pa.float64()),
        pa.field("trunk", pa.string()),  # runs of one trunk share their first steps
    ]
)


@dataclass(frozen=True)
class RunTable:
    """Checked runs.

    Args:
        table: `RUN_POINT_SCHEMA`.
        columns: Which column of the input was read as `params`, `tokens`, `loss` and `by` (or None).
        unit: Of the loss: `bits_per_byte`, `nats`, or the name of the column where that is all that is known.
        warnings: What a reader of a fit should know about the table.
        sources: Names of the sources whose shares were read.
    """

    table: pa.Table
    columns: dict[str, str | None]
    unit: str
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def groups(self) -> list[str | None]:
        """Return the groups, sorted; `[None]` where the runs were not divided."""
        found: list[str | None] = self.table["group"].unique().to_pylist()
        return sorted(found, key=lambda name: name or "")

    def points(self, group: str | None) -> Points:
        """Return the runs of one group."""
        rows = [i for i, name in enumerate(self.table["group"].to_pylist()) if name == group]
        part = self.table.take(pa.array(rows, type=pa.int64()))
        params, tokens, loss = (np.asarray(part[name], dtype=np.float64) for name in ("params", "tokens", "loss"))
        unique, weight = (
            np.asarray(part[name], dtype=np.float64) if part[name].null_count == 0 else None
            for name in ("unique", "weight")
        )
        shares = np.array(part["shares"].to_pylist(), dtype=np.float64) if self.sources else None
        trunk = None
        if part["trunk"].null_count == 0:
            trunk = np.unique(np.array(part["trunk"].to_pylist()), return_inverse=True)[1].astype(np.intp)
        return Points(params, tokens, loss, shares, unique, weight, trunk)


def statement(name: str) -> str:
    """Return the SQL of one file in `analysis/sql`.

    Args:
        name: Its name without the ending.
    """
    return (resources.files("analysis") / "sql" / f"{name}.sql").read_text()


def read_runs(
    runs: Path | str,
    *,
    params: str | None = None,
    tokens: str | None = None,
    loss: str | None = None,
    by: str | None = None,
    where: str | None = None,
    table: str | None = None,
    unit: str | None = None,
    shares: str | None = None,
    unique: str | None = None,
    weight: str | None = None,
    trunk: str | None = None,
) -> RunTable:
    """Read and check a table of runs.

    Args:
        runs: A `runs` artifact (folder), or a .csv, .tsv, .parquet, .jsonl or .duckdb file. Of an artifact, runs on
            one language alone are read; with `shares` all runs on languages, a row for each language evaluated on.
        params: Column of parameter counts; by default the first of `PARAMS_NAMES` that exists.
        tokens: Column of training tokens; by default `tokens`.
        loss: Column of losses; by default the first of `LOSS_NAMES` that exists.
        by: Column that divides the runs into groups, or None.
        where: A condition in SQL that rows must meet, or None.
        table: The table of a database file, where it holds several.
        unit: The loss's unit, where the column's name does not tell.
        shares: What the names of the columns of shares begin with, such as `weight_`, or None; the rest of each name is
            the source's. Of an artifact they begin with `share_`.
        unique: Column of unique tokens, or None.
        weight: Column of how much each run counts, or None.
        trunk: Column that is the same for runs that branch from one trunk, or are checkpoints of one run. By default
            `trunk` where it exists (of an artifact: runs that differ by their tokens alone); else, with shares, runs of
            the same N and shares; else none.

    Raises:
        BadInput: The input cannot be read, or holds rows that cannot be fitted; all of them are named.
    """
    runs = Path(runs)
    warnings: list[str] = []
    with _connection() as connection:
        warnings += _load(connection, runs, table, mixtures=shares is not None)
        existing = [row[0] for row in connection.execute("DESCRIBE source").fetchall()]
        if trunk is None and "trunk" in existing:
            trunk = "trunk"
        columns = _choose(
            runs, existing, params, tokens, loss, {"by": by, "unique": unique, "weight": weight, "trunk": trunk}
        )
        portions = _portions(runs, existing, shares)
        rows = _query(connection, runs, columns, where, portions)
        if unit is None:
            unit = _unit(connection, runs, columns, existing, where)
        several = _languages(connection, existing, where)
    if not rows:
        reason = f"no row meets {where!r}" if where else "holds no rows"
        bad_input(runs, f"{reason}; a fit needs one row a run")
    warnings += _check(runs, rows, columns)
    sources = tuple(name.removeprefix(shares or "") for name in portions)
    _check_shares(runs, rows, portions)
    if by is None and several > 1:
        warnings.append(f"the runs of {several} languages were fitted together; divide them with --by language")
    clean = pa.Table.from_pylist(
        [{name: row[name] for name in RUN_POINT_SCHEMA.names} for row in rows], schema=RUN_POINT_SCHEMA
    )
    return RunTable(clean, columns, unit, tuple(warnings), sources)


def write_store(runs: Path | str, path: Path | str) -> None:
    """Write a `runs` artifact as one DuckDB database: tables `runs`, `evaluations`, `curves`, view `final_losses`.

    Args:
        runs: The artifact's folder.
        path: The database file to make; replaced where it exists.

    Raises:
        BadInput: There is no readable `runs` artifact.
    """
    runs, path = Path(runs), Path(path)
    read_manifest(runs, "runs")
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with _connection(str(partial)) as connection:
            _load_artifact(connection, runs)
            if (runs / "curves.parquet").is_file():
                _read(connection, "curves", "read_parquet(?)", runs / "curves.parquet")
            connection.execute("CHECKPOINT")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _connection(database: str = ":memory:") -> Iterator[duckdb.DuckDBPyConnection]:
    # One thread keeps rows in the order of the file, and the machine's other cores free.
    connection = duckdb.connect(database, config={"threads": 1})
    try:
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def _load(connection: duckdb.DuckDBPyConnection, runs: Path, table: str | None, *, mixtures: bool) -> list[str]:
    """Make the relation `source` of whatever `runs` is; return warnings."""
    readers = {
        ".csv": "read_csv(?, header = true, sample_size = -1)",
        ".tsv": "read_csv(?, header = true, sample_size = -1, delim = '\t')",
        ".parquet": "read_parquet(?)",
        ".jsonl": "read_json(?, format = 'newline_delimited')",
    }
    ending = runs.suffix.lower()
    if runs.is_dir():
        read_manifest(runs, "runs")
        return _load_artifact(connection, runs, mixtures=mixtures)
    if not runs.is_file():
        bad_input(runs, "no such file or folder; give a `runs` artifact or a table of runs (.csv, .parquet, .duckdb)")
    if runs.stat().st_size == 0:
        bad_input(runs, "the file is empty; a fit needs one row a run")
    if ending in {".duckdb", ".db"}:
        return _load_database(connection, runs, table)
    if ending not in readers:
        bad_input(runs, f"{ending or 'a file without ending'} is not read; use one of {', '.join(readers)}, .duckdb")
    _read(connection, "source", readers[ending], runs)
    return []


def _read(connection: duckdb.DuckDBPyConnection, name: str, reader: str, path: Path) -> None:
    try:
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {reader}", [str(path)])
    except duckdb.Error as error:
        kind = path.suffix.lower().removeprefix(".")
        bad_input(path, f"cannot be read as {kind} ({_first_line(error)}); copy or export the file again")


def _load_artifact(connection: duckdb.DuckDBPyConnection, runs: Path, *, mixtures: bool = False) -> list[str]:
    for name in ("runs", "evaluations"):
        path = runs / f"{name}.parquet"
        if not path.is_file():
            bad_input(path, "missing from the artifact; make the runs again with `polymix sweep`")
        _read(connection, name, "read_parquet(?)", path)
    try:
        connection.execute(statement("final_losses"))
        if mixtures:
            left_out = _view_mixtures(connection)
        else:
            left_out = connection.execute(statement("left_out")).fetchall()
            connection.execute("CREATE OR REPLACE VIEW source AS SELECT * FROM final_losses")
        used = connection.execute("SELECT count(*), count(DISTINCT tokenizer) FROM source").fetchall()[0]
    except duckdb.Error as error:
        bad_input(runs, f"does not have the columns of a `runs` artifact ({_first_line(error)}); make it again")
    if used[0] == 0:
        reasons = "; ".join(f"{number} {reason}" for reason, number in left_out) or "it holds no runs"
        kind = "on languages" if mixtures else "on one language"
        bad_input(runs, f"no finished run trained {kind} alone ({reasons}); a law needs such runs")
    if used[1] > 1:
        bad_input(
            runs, f"the runs used {used[1]} different tokenizers; fit each apart with --where \"tokenizer = '...'\""
        )
    return [f"{number} runs left out: {reason}" for reason, number in left_out]


def _view_mixtures(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Make the view `source` of runs with their shares; return why runs are left out, with how many of each."""
    connection.execute(statement("mixture_losses"))
    names = connection.execute("SELECT source FROM mixture_sources").fetchall()
    portions = ", ".join(
        f"coalesce(shares['{name}'], 0.0) AS {_quoted(PORTION + name)}" for name in (str(row[0]) for row in names)
    )
    connection.execute(
        f"CREATE OR REPLACE VIEW source AS SELECT * EXCLUDE (shares){portions and ', '}{portions} FROM mixture_losses"
    )
    return connection.execute(statement("mixtures_left_out")).fetchall()


def _load_database(connection: duckdb.DuckDBPyConnection, path: Path, table: str | None) -> list[str]:
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{quoted}' AS store (READ_ONLY)")
        names = [
            row[0]
            for row in connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'store' ORDER BY 1"
            ).fetchall()
        ]
    except duckdb.Error as error:
        bad_input(path, f"cannot be opened as a DuckDB database ({_first_line(error)})")
    if table is None:
        table = "final_losses" if "final_losses" in names else names[0] if len(names) == 1 else None
    if table is None or table not in names:
        bad_input(path, f"name one of its tables with --table: {', '.join(names) or '(it has none)'}")
    try:
        # A view inside the database names its tables without the catalogue, so that must be the current one.
        connection.execute("USE store")
        connection.execute(f"CREATE TABLE memory.main.source AS SELECT * FROM {_quoted(table)}")
        connection.execute("USE memory")
    except duckdb.Error as error:
        bad_input(f"{path}: {table}", f"cannot be read ({_first_line(error)})")
    return []


def _choose(
    runs: Path,
    existing: Sequence[str],
    params: str | None,
    tokens: str | None,
    loss: str | None,
    others: dict[str, str | None],
) -> dict[str, str | None]:
    mistakes: list[Mistake] = []
    columns: dict[str, str | None] = {}
    for option, asked, usual in (
        ("params", params, PARAMS_NAMES),
        ("tokens", tokens, TOKENS_NAMES),
        ("loss", loss, LOSS_NAMES),
        *((name, asked, ()) for name, asked in others.items()),
    ):
        names = (asked,) if asked is not None else usual
        found = next((name for name in names if name in existing), None)
        if found is None and names:
            missing = f"no column {asked!r}" if asked is not None else f"no column {' or '.join(map(repr, usual))}"
            mistakes.append(
                Mistake(f"{runs}: --{option}", f"{missing}; name one of: {', '.join(existing) or '(no columns)'}")
            )
        if found is not None or option == "by":
            columns[option] = found
    if mistakes:
        raise BadInput(mistakes)
    return columns


def _portions(runs: Path, existing: Sequence[str], prefix: str | None) -> list[str]:
    if prefix is None:
        return []
    found = [name for name in existing if name.startswith(prefix) and name != prefix]
    if len(found) < 2:
        bad_input(
            f"{runs}: --shares",
            f"{len(found)} columns begin with {prefix!r}; a mixture has two or more. Columns: {', '.join(existing)}",
        )
    return found


def _check_shares(runs: Path, rows: list[dict[str, Any]], portions: Sequence[str]) -> None:
    """Raise on shares that are missing, negative, or do not sum to 1; scale away what rounding left."""
    if not portions:
        return
    wrong: list[int] = []
    for row in rows:
        shares = row["shares"]
        if any(share is None or not share >= 0 for share in shares) or abs(sum(shares) - 1) > ROUNDED:
            wrong.append(row["line"])
        else:
            row["shares"] = [share / sum(shares) for share in shares]
    if wrong:
        bad_input(
            f"{runs}: --shares",
            f"shares are missing, negative, or do not sum to 1 in {_named(wrong)} (columns {', '.join(portions)});"
            " correct them, or leave them out with --where",
        )


def _query(
    connection: duckdb.DuckDBPyConnection,
    runs: Path,
    columns: dict[str, str | None],
    where: str | None,
    portions: Sequence[str],
) -> list[dict[str, Any]]:
    listed = ", ".join(f"TRY_CAST({_quoted(name)} AS DOUBLE)" for name in portions)
    same = ", ".join(_quoted(name) for name in [columns["params"] or "", *portions])
    text = statement("points").format(
        by=_quoted(columns["by"]) if columns["by"] else "NULL",
        shares=f"[{listed}]" if portions else "NULL",
        unique=_quoted(columns["unique"] or "") if columns.get("unique") else "NULL",
        weight=_quoted(columns["weight"] or "") if columns.get("weight") else "NULL",
        trunk=_quoted(columns["trunk"] or "")
        if columns.get("trunk")
        else f"concat_ws('/', {same})"
        if portions
        else "NULL",
        params=_quoted(columns["params"] or ""),
        tokens=_quoted(columns["tokens"] or ""),
        loss=_quoted(columns["loss"] or ""),
        where=f"({where})" if where else "true",
    )
    try:
        result = connection.execute(text)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    except duckdb.Error as error:
        if where:
            bad_input("--where", f"{where!r} is no condition on the columns of {runs} ({_first_line(error)})")
        raise


def _unit(
    connection: duckdb.DuckDBPyConnection,
    runs: Path,
    columns: dict[str, str | None],
    existing: Sequence[str],
    where: str | None,
) -> str:
    if "unit" in existing:
        condition = f"({where})" if where else "true"
        rows = connection.execute(f"SELECT DISTINCT CAST(unit AS VARCHAR) FROM source WHERE {condition} ORDER BY 1")
        found = [row[0] for row in rows.fetchall()]
        if len(found) > 1:
            bad_input(
                f"{runs}: unit",
                f"losses in mixed units ({', '.join(map(str, found))}) cannot be fitted together;"
                f" choose one with --where \"unit = '{found[0]}'\"",
            )
        if found and found[0]:
            return str(found[0])
    loss = columns["loss"] or ""
    return UNITS.get(loss, next((unit for unit in ("nats", "bits_per_byte") if loss.endswith(f"_{unit}")), loss))


def _check(runs: Path, rows: list[dict[str, Any]], columns: dict[str, str | None]) -> list[str]:
    """Raise on every row that cannot be fitted; return what is merely odd."""
    mistakes: list[Mistake] = []
    for name in ("params", "tokens", "loss", *(name for name in ("unique", "weight") if columns.get(name))):
        kinds: dict[str, list[tuple[int, Any]]] = {}
        for row in rows:
            reason = _wrong(row[name], row[f"{name}_text"])
            if reason:
                kinds.setdefault(reason, []).append((row["line"], row[f"{name}_text"]))
        for reason, found in kinds.items():
            example = f" such as {found[0][1]!r}" if found[0][1] is not None else ""
            mistakes.append(
                Mistake(
                    f"{runs}: {columns[name]}",
                    f"{reason}{example} in {_named([line for line, _ in found])};"
                    " correct them, or leave them out with --where",
                )
            )
    if columns["by"] is not None and (nameless := [row["line"] for row in rows if row["group"] is None]):
        mistakes.append(Mistake(f"{runs}: {columns['by']}", f"no group in {_named(nameless)}; name it or leave it out"))
    seen: dict[str, int] = {}
    doubles: list[str] = []
    for row in rows:
        first = seen.setdefault(row["digest"], row["line"])
        if first != row["line"]:
            doubles.append(f"{row['line']} repeats {first}")
    if doubles:
        shown = ", ".join(doubles[:_ROWS_NAMED]) + (" ..." if len(doubles) > _ROWS_NAMED else "")
        mistakes.append(
            Mistake(str(runs), f"{len(doubles)} rows stand there twice (row {shown}); remove them, they count double")
        )
    if mistakes:
        raise BadInput(mistakes)
    keys = {(row["group"], row["params"], row["tokens"], row["loss"]) for row in rows}
    if len(keys) < len(rows):
        return [
            f"{len(rows) - len(keys)} runs have the same N, D and loss as another: if they are the same run, or differ"
            " in a column that should be given with --by, the intervals are too narrow"
        ]
    return []


def _wrong(value: float | None, text: str | None) -> str:
    if text is None:
        return "nothing"
    if value is None:
        return "not a number"
    if not np.isfinite(value):
        return "not a finite number"
    return "" if value > 0 else "a number that is not positive"


def _languages(connection: duckdb.DuckDBPyConnection, existing: Sequence[str], where: str | None) -> int:
    if "language" not in existing:
        return 0
    query = f"SELECT count(DISTINCT language) FROM source WHERE ({where or 'true'})"
    return int(connection.execute(query).fetchall()[0][0])


def _named(lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:_ROWS_NAMED])
    more = f" and {len(lines) - _ROWS_NAMED} more" if len(lines) > _ROWS_NAMED else ""
    return f"row{'s' if len(lines) > 1 else ''} {shown}{more}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
