"""What must hold of data that was written, and the one place that checks it with great-expectations.

A noun declares its `Contract` beside its schema, in terms of great-expectations' own expectation names; only this
module imports the library. Results are rows (`RESULT_SCHEMA`), one an expectation, with examples of what failed.

Start at `check`, which a stage calls on what it has just read back from disk: it runs the contract, leaves
`contract.parquet` and `contract.html` beside the data, and raises `ContractFailed` if anything does not hold.

Always: results come in the contract's order; a column that is missing fails, it never passes; nothing is sent anywhere.
As in great-expectations, expectations on values skip nulls and NaN: where those are wrong too, a contract says so with
`expect_column_values_to_not_be_null`. Every value holds of an empty table; `expect_table_row_count_to_be_between` does
not.
"""

from __future__ import annotations

import html
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from quality.artifacts import write_atomically
from quality.mistakes import Failure

EXAMPLES = 10
"""At most so many failing rows are named for one expectation."""

RESULT_SCHEMA = pa.schema(
    [
        ("contract", pa.string()),
        ("expectation", pa.string()),
        ("arguments", pa.string()),
        ("why", pa.string()),
        ("success", pa.bool_()),
        ("checked", pa.int64()),
        ("unexpected", pa.int64()),
        ("examples", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Expectation:
    """One thing that must hold.

    Args:
        name: The great-expectations name in snake case, such as `expect_column_values_to_be_unique`.
        arguments: Its arguments, such as `{"column": "id"}`.
        why: What goes wrong downstream if it does not hold.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    why: str = ""


@dataclass(frozen=True)
class Contract:
    """All that must hold of one noun's table.

    Args:
        noun: Which noun.
        expectations: What is checked, in this order.
        key: The columns that name a failing row to a person.
    """

    noun: str
    expectations: tuple[Expectation, ...]
    key: tuple[str, ...] = ("id",)


class ContractFailed(Failure):
    """What was written breaks its contract.

    Args:
        rows: The failed rows of `RESULT_SCHEMA`.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        super().__init__("what was written breaks its contract\n" + "\n".join(_failure_line(row) for row in rows))


def _failure_line(row: Mapping[str, Any]) -> str:
    count = "" if row["unexpected"] is None else f", {row['unexpected']:,} of {row['checked']:,} rows"
    why = f" ({row['why']})" if row["why"] else ""
    examples = "; ".join(row["examples"])
    return f"{row['contract']}: {row['expectation']} {row['arguments']} does not hold{count}{why}: {examples}"


def run_contract(contract: Contract, table: pa.Table) -> pa.Table:
    """Check a table against a contract.

    Args:
        contract: What must hold.
        table: The rows; only columns that the contract names are looked at, others may be of any type and size.

    Returns:
        One row of `RESULT_SCHEMA` for each expectation, in the contract's order. `unexpected` is null for an
        expectation on the table as a whole.

    Raises:
        ValueError: An expectation is unknown to great-expectations, or its arguments are wrong.
    """
    named = [*contract.key, *(c for e in contract.expectations for c in _columns_of(e))]
    present = [name for name in dict.fromkeys(named) if name in table.column_names]
    # Importing and running great-expectations warns about the library's own use of deprecated names.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = _run(contract, table.select(present) if present else table, [k for k in contract.key if k in present])
    return pa.Table.from_pylist(rows, RESULT_SCHEMA)


def _columns_of(expectation: Expectation) -> list[str]:
    names: list[str] = []
    for argument in ("column", "column_A", "column_B", "column_list", "column_set"):
        value = expectation.arguments.get(argument, ())
        names.extend([value] if isinstance(value, str) else value)
    return names


def _run(contract: Contract, table: pa.Table, key: list[str]) -> list[dict[str, Any]]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = cast(Any, gx.get_context(mode="ephemeral"))
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas(contract.noun).add_dataframe_asset(contract.noun)
    # A batch is asked directly: storing a validation result fails on numpy's booleans.
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table.to_pandas()})
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": key}
    rows: list[dict[str, Any]] = []
    for expectation in contract.expectations:
        outcome = batch.validate(_expectation_of(gx, contract, expectation), result_format=result_format)
        rows.append(_row(contract, expectation, outcome, table.num_rows))
    return rows


def _expectation_of(gx: Any, contract: Contract, expectation: Expectation) -> Any:
    title = "".join(part.capitalize() for part in expectation.name.split("_"))
    kind = getattr(gx.expectations, title, None)
    if kind is None:
        raise ValueError(f"contract {contract.noun!r}: great-expectations has no {expectation.name!r}")
    try:
        return kind(**expectation.arguments)
    except ValueError as error:
        raise ValueError(
            f"contract {contract.noun!r}: {expectation.name} {dict(expectation.arguments)}: {error}"
        ) from error


def _row(contract: Contract, expectation: Expectation, outcome: Any, rows: int) -> dict[str, Any]:
    result = dict(outcome.result or {})
    success = bool(outcome.success)
    unexpected = result.get("unexpected_count")
    if not success and not result:
        examples = _exceptions(outcome.exception_info)
    elif unexpected is None:
        examples = [] if success else [f"observed {result.get('observed_value')!r}"]
    else:
        examples = [_example(row) for row in result.get("unexpected_index_list") or ()]
        examples = examples or [str(value) for value in result.get("unexpected_list") or ()]
    return {
        "contract": contract.noun,
        "expectation": expectation.name,
        "arguments": json.dumps(dict(expectation.arguments), sort_keys=True, default=str),
        "why": expectation.why,
        "success": success,
        "checked": int(result.get("element_count", rows)),
        "unexpected": None if unexpected is None else int(unexpected),
        "examples": examples[:EXAMPLES],
    }


def _example(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(row.items()))


def _exceptions(info: Mapping[str, Any]) -> list[str]:
    messages = [info] if "exception_message" in info else list(info.values())
    found = [str(m["exception_message"]) for m in messages if isinstance(m, Mapping) and m.get("exception_message")]
    return list(dict.fromkeys(found)) or ["great-expectations gave no result"]


def write_results(folder: Path | str, *results: pa.Table) -> None:
    """Write `contract.parquet` and `contract.html` (one page, nothing loaded from anywhere).

    Args:
        folder: Where to; it exists.
        results: Tables of `RESULT_SCHEMA`, shown in this order.
    """
    folder = Path(folder)
    table = pa.concat_tables(results) if results else RESULT_SCHEMA.empty_table()
    pq.write_table(table, folder / "contract.parquet")
    write_atomically(folder / "contract.html", _page(table.to_pylist()))


def check(contract: Contract, table: pa.Table, folder: Path | str) -> pa.Table:
    """Check a table, leave the result beside it, and stop if it does not hold.

    Args:
        contract: What must hold.
        table: What was written, read back.
        folder: Gets `contract.parquet` and `contract.html`.

    Returns:
        The result rows (`RESULT_SCHEMA`).

    Raises:
        ContractFailed: An expectation does not hold; the files are written all the same.
    """
    return check_all([(contract, table)], folder)


def check_all(pairs: Iterable[tuple[Contract, pa.Table]], folder: Path | str) -> pa.Table:
    """Check several tables of one artifact, as `check` does, with one result for all.

    Raises:
        ContractFailed: An expectation of any contract does not hold.
    """
    return check_streams([(contract, [table]) for contract, table in pairs], folder)


def check_streams(pairs: Iterable[tuple[Contract, Iterable[pa.Table]]], folder: Path | str) -> pa.Table:
    """Check several nouns of one artifact, as `check` does, where a noun's rows come as tables, one after the other.

    Only one table is held at once, so the rows may be more than memory holds. An expectation must hold of each table:
    one about all rows together (that values are unique, how many rows there are) must be asked of a column in which
    that was counted beforehand.

    Raises:
        ContractFailed: An expectation of any contract does not hold.
        ValueError: A contract was given no table.
    """
    results = pa.concat_tables(
        [_merged(contract, (run_contract(contract, table) for table in tables)) for contract, tables in pairs]
    )
    write_results(folder, results)
    failed = [row for row in results.to_pylist() if not row["success"]]
    if failed:
        raise ContractFailed(failed)
    return results


def _merged(contract: Contract, results: Iterable[pa.Table]) -> pa.Table:
    """Return the results of one contract on several tables as if they were one."""
    whole: list[dict[str, Any]] = []
    for table in results:
        rows = table.to_pylist()
        if not whole:
            whole = rows
            continue
        for all_rows, row in zip(whole, rows, strict=True):
            all_rows["success"] = all_rows["success"] and row["success"]
            all_rows["checked"] += row["checked"]
            if row["unexpected"] is not None:
                all_rows["unexpected"] = (all_rows["unexpected"] or 0) + row["unexpected"]
            all_rows["examples"] = (all_rows["examples"] + row["examples"])[:EXAMPLES]
    if not whole:
        raise ValueError(f"contract {contract.noun!r} was given no rows to check")
    return pa.Table.from_pylist(whole, RESULT_SCHEMA)


_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6778; --line: #dde2ea; --page: #fff; --good: #17713a;
  --bad: #b3261e; --tint: #fdf0ef }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #313947; --page: #14181f;
  --good: #62c98a; --bad: #ff8a80; --tint: #2c1b1c } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p, .why { color: var(--soft) } .why { font-size: .9rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .85rem }
th, td { padding: .45rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
code { font: .87rem ui-monospace, monospace; overflow-wrap: anywhere }
.good { color: var(--good); font-weight: 600 } .bad { color: var(--bad); font-weight: 600 }
tr.failed { background: var(--tint) } ul { margin: .3rem 0 0; padding-left: 1.1rem }
"""


def _page(rows: list[dict[str, Any]]) -> str:
    failed = sum(not row["success"] for row in rows)
    head = "every expectation holds" if not failed else f"{failed} of {len(rows)} expectations do not hold"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Contract</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>Contract: <span class={'bad' if failed else 'good'}>{head}</span></h1>",
        "<p>Checked on the rows as they were read back from disk.</p>",
    ]
    for noun in dict.fromkeys(row["contract"] for row in rows):
        own = [row for row in rows if row["contract"] == noun]
        parts.append(f"<h2>{html.escape(noun)}</h2><div class=scroll><table><thead><tr><th>holds<th>expectation")
        parts.append("<th class=n>checked<th class=n>unexpected</tr></thead><tbody>")
        parts.extend(_page_row(row) for row in own)
        parts.append("</tbody></table></div>")
    return "".join([*parts, "</body></html>\n"])


def _page_row(row: Mapping[str, Any]) -> str:
    good = row["success"]
    examples = "".join(f"<li><code>{html.escape(example)}</code></li>" for example in row["examples"])
    why = f"<div class=why>if not: {html.escape(row['why'])}</div>" if row["why"] else ""
    unexpected = "" if row["unexpected"] is None else f"{row['unexpected']:,}"
    return (
        f"<tr{'' if good else ' class=failed'}><td class={'good' if good else 'bad'}>{'yes' if good else 'no'}"
        f"<td><code>{html.escape(row['expectation'])}</code> <code>{html.escape(row['arguments'])}</code>"
        f"{why}{f'<ul>{examples}</ul>' if examples else ''}"
        f"<td class=n>{row['checked']:,}<td class=n>{unexpected}</tr>"
    )
