from __future__ import annotations

import pyarrow as pa

from pipelines.decisions import RELATION_SCHEMA, relations
from pipelines.earlier import PLACE_SCHEMA
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
    # So that the split does not divide them.
    assert [row["shared"] for row in rows] == [True, True]


def test_of_a_family_of_which_one_stays_nothing_is_shared() -> None:
    rows = relations(edges(("a", "b", "go", "go", 0.8), ("a", "c", "go", "go", 0.9))).to_pylist()
    assert [row["removed_for"] for row in rows] == [None, b"a", b"a"]
    assert not any(row["shared"] for row in rows)
    assert {row["family"] for row in rows} == {b"a"}


def test_the_order_of_edges_does_not_matter() -> None:
    rows = [("a", "b", "go", "go", 0.8), ("b", "c", "go", "go", 0.9), ("d", "e", "go", "go", 0.7)]
    assert relations(edges(*rows)).equals(relations(edges(*rows[::-1])))


def places(*rows: tuple[str, str, str]) -> pa.Table:
    named = [(row[0].encode(), *row[1:]) for row in rows]
    return pa.Table.from_pylist([dict(zip(PLACE_SCHEMA.names, row, strict=True)) for row in named], PLACE_SCHEMA)


def test_no_edges_make_no_relations() -> None:
    assert relations(EDGE_SCHEMA.empty_table()).equals(RELATION_SCHEMA.empty_table())


def test_a_family_takes_cluster_and_side_of_what_is_there() -> None:
    # 0a and 0b are there; 1c is removed for 0a, 1d stays in another language, 1e and 1f know nothing of them.
    found = edges(
        ("0a", "1c", "go", "go", 0.8), ("0b", "1d", "go", "rust", 0.9), ("1c", "1d", "go", "rust", 0.9),
        ("1e", "1f", "go", "go", 0.8),
    )  # fmt: skip
    table = relations(found, places(("0b", "B", "train"), ("0a", "A", "train")))
    rows = {row["preference"].decode(): row for row in table.to_pylist()}
    assert {name: row["removed_for"] for name, row in rows.items() if row["removed_for"]} == {"1c": b"0a", "1f": b"1e"}
    assert {name for name, row in rows.items() if row["old_cluster"] == "A"} == {"0a", "0b", "1c", "1d"}
    assert {row["old_split"] for name, row in rows.items() if name not in ("1e", "1f")} == {"train"}
    assert rows["1e"]["old_split"] is rows["1f"]["old_cluster"] is None
    assert not any(row["torn"] for row in rows.values())


def test_a_family_on_both_sides_gets_nothing_new() -> None:
    # 1c is removed for 0a all the same; 1d would stay, and 1e is removed for it: both are left out.
    found = edges(
        ("0a", "1c", "go", "go", 0.8), ("0b", "1d", "go", "rust", 0.9), ("1c", "1d", "go", "rust", 0.9),
        ("1d", "1e", "rust", "rust", 0.9),
    )  # fmt: skip
    table = relations(found, places(("0a", "A", "train"), ("0b", "B", "validation")))
    rows = {row["preference"].decode(): row for row in table.to_pylist()}
    assert {name for name, row in rows.items() if row["torn"]} == {"1d", "1e"}
    assert rows["1c"]["removed_for"] == b"0a"
