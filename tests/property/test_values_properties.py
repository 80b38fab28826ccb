"""What holds for all values: the wire form loses nothing, and comparing is fair to both sides."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parallel_mining.values import TOLERANCES, NotAValue, Value, compare, decode, digest, encode, of, plain

texts = st.text(st.characters(exclude_categories=[]), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts, st.binary(max_size=6))
keys = st.one_of(st.integers(), texts)
items: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.sets(keys, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


@given(items)
def test_the_wire_form_loses_nothing(item: Any) -> None:
    wire = encode(item)
    assert decode(wire) == of(item)
    assert wire.isascii()
    assert not set(wire) & set(" \n")


@given(items)
def test_plain_undoes_of(item: Any) -> None:
    assert plain(of(item)) == item


@given(st.floats())
def test_a_float_keeps_its_bits(x: float) -> None:
    back = plain(decode(encode(x)))
    assert math.copysign(1, back) == math.copysign(1, x)
    assert back == x or (math.isnan(x) and math.isnan(back))


@given(items)
def test_everything_agrees_exactly_with_itself(item: Any) -> None:
    found = compare(of(item), of(item))
    assert found.equal
    assert found.needed == "exact"
    assert found.reason == ""


@given(items, items)
def test_comparing_is_symmetric_and_wider_tolerances_allow_more(left: Any, right: Any) -> None:
    a, b = of(left), of(right)
    assert compare(a, b).needed == compare(b, a).needed
    allowed = [compare(a, b, tolerance).equal for tolerance in TOLERANCES]
    assert allowed == sorted(allowed)
    if digest(a) == digest(b):
        assert compare(a, b).equal


@given(st.integers(-(2**53), 2**53))
def test_a_number_is_an_int_where_its_value_is_one(n: int) -> None:
    assert compare(of(n), Value("number", float(n))).needed == "exact"


@given(st.text("ntfidmescSbr[](){}<>o;:0189af-", max_size=30))
def test_no_text_breaks_the_reader(wire: str) -> None:
    try:
        value = decode(wire)
    except NotAValue:
        return
    assert decode(encode(value)) == value or "nan" in repr(value)
