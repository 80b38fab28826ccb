from __future__ import annotations

import pyarrow as pa

from pipelines.decisions import relations
from pipelines.near import EDGE_SCHEMA


def edges(*rows: tuple[str, str, str, str, float]) -> pa.Table:
    names = EDGE_SCHEMA.names
    values = [[row[0].encode(), row[1].encode(), *row[2:]] for row in rows]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in values], EDGE_SCHEMA)


def test_chains_are_one_family_and_removal_is_for_ones_own_survivor() -> None:
    table = relations(edges(("a", "b", "go", "go", 0.8), ("b", "c", "go", "go", 0.9), ("c", "z", "go", "rust", 0.75)))
    rows = {row["preference"].decode(): row for row in table.to_pylist()}
    assert {name: row["removed_for"] for name, row in rows.items()} == {"a": None, "b": b"a", "c": None, "z": None}
    assert rows["b"]["similarity"] == 0.8
    assert {row["family"] for row in rows.values()} == {b"a"}
    assert all(row["shared"] for row in rows.values())
    assert [name for name, row in rows.items() if row["leads"]] == ["a"]


def test_the_same_program_in_two_languages_stays_twice_in_one_family() -> None:
    rows = relations(edges(("a", "b", "java", "csharp", 1.0))).to_pylist()
    assert [row["removed_for"] for row in rows] == [None, None]
    assert [row["family"] for row in rows] == [b"a", b"a"]


def test_of_a_family_of_which_one_stays_nothing_is_shared() -> None:
    rows = relations(edges(("a", "b", "go", "go", 0.8), ("a", "c", "go", "go", 0.9))).to_pylist()
    assert [row["removed_for"] for row in rows] == [None, b"a", b"a"]
    assert not any(row["shared"] for row in rows)
    assert {row["family"] for row in rows} == {b"a"}


def test_the_order_of_edges_does_not_matter() -> None:
    rows = [("a", "b", "go", "go", 0.8), ("b", "c", "go", "go", 0.9), ("d", "e", "go", "go", 0.7)]
    assert relations(edges(*rows)).equals(relations(edges(*rows[::-1])))
