"""What must hold of data that was written, and the one place that checks it with great-expectations.

A noun declares its `Contract` beside its schema, in terms of great-expectations' own expectation names; only this
module imports the library. Results are rows (`RESULT_SCHEMA`), one an expectation, with examples of what failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

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
