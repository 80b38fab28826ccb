"""Values of different languages: what agrees, under which tolerance, and what never does."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from parallel_mining.values import TOLERANCES, NotAValue, Value, compare, decode, digest, encode, of, plain

NULL = Value("null", None)


def number(x: float) -> Value:
    return Value("number", x)


def needed(left: Any, right: Any) -> str:
    there, back = compare(of(left), of(right)), compare(of(right), of(left))
    assert there.needed == back.needed
    return there.needed


@pytest.mark.parametrize(
    ("left", "right", "tolerance"),
    [
        (1, 1, "exact"),
        (2**70, 2**70, "exact"),
        (1, 2, "different"),
        (10**17, 10**17 + 1, "different"),
        (True, True, "exact"),
        (True, 1, "different"),
        (False, None, "different"),
        (0, "", "different"),
        (None, None, "exact"),
        (3, 3.0, "numeric"),
        (3, number(3.0), "exact"),
        (3.0, number(3.0), "exact"),
        (True, number(1.0), "different"),
        (2**53 + 1, number(float(2**53)), "1e-9"),
        (0.0, -0.0, "numeric"),
        (0, number(-0.0), "numeric"),
        (math.nan, math.nan, "exact"),
        (math.nan, number(math.nan), "exact"),
        (math.nan, 0.0, "different"),
        (math.inf, math.inf, "exact"),
        (math.inf, -math.inf, "different"),
        (math.inf, 1e308, "different"),
        (0.1 + 0.2, 0.3, "1e-9"),
        (1.0, 1.0 + 1e-6, "1e-5"),
        (1e9, 1e9 + 1, "1e-9"),
        (1e-12, 0.0, "1e-9"),
        (1.0, 1.1, "different"),
        (Value("float", 0.10000000149011612, "float32"), 0.1, "1e-5"),
        ("é", "é", "exact"),
        ("é", "e\u0301", "different"),
        ("a", Value("str", "a", "char"), "exact"),
        ([1, 2], (1, 2), "exact"),
        ([1, 2], [2, 1], "different"),
        ([1, 2], [1, 2, 3], "different"),
        ([1, [2.0]], [1, [2]], "numeric"),
        ([], None, "different"),
        ({1, 2}, {2, 1}, "exact"),
        ({1, 2}, {1}, "different"),
        ({1, 2}, [1, 2], "different"),
        ({0.1 + 0.2, 1.0}, {0.3, 1.0}, "1e-9"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "exact"),
        ({"a": 1}, {"a": 2}, "different"),
        ({"a": 1}, {"b": 1}, "different"),
        ({"a": 1}, {}, "different"),
        ({1: "x"}, {1.0: "x"}, "numeric"),
        (b"\xff", [255], "numeric"),
        (b"\xff", [-1], "numeric"),
        (b"\xff", [1], "different"),
        (b"a", "a", "different"),
        (b"", [math.nan], "different"),
    ],
)
def test_two_values_need_this_tolerance(left: Any, right: Any, tolerance: str) -> None:
    assert needed(left, right) == tolerance


def test_a_javascript_object_has_text_for_keys() -> None:
    made = Value("dict", ((of("1"), of("x")), (of("2"), of("y"))), "object")
    assert needed(made, {1: "x", 2: "y"}) == "numeric"
    assert needed(made, {"1": "x", "2": "y"}) == "exact"
    assert needed(made, {1: "x"}) == "different"
    assert needed({"1": "x"}, {1: "x"}) == "different"


def test_records_agree_by_their_fields_whatever_the_naming_style() -> None:
    java = Value("record", ((of("firstName"), of("a")), (of("size"), of(1))), name="P")
    rust = Value("record", ((of("size"), of(1)), (of("first_name"), of("a"))), name="Q")
    assert needed(java, rust) == "exact"
    assert needed(java, {"first_name": "a", "size": 1}) == "numeric"
    assert needed(java, {"first_name": "a"}) == "different"
    assert needed(java, {1: "a"}) == "different"


def printed(text: str) -> Value:
    return Value("str", text, "printed")


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_only_what_the_tolerance_allows_is_equal(tolerance: str) -> None:
    allowed = TOLERANCES.index(tolerance)
    pairs = [(1, 1), (printed("a"), printed("a\n")), (1, 1.0), (0.1 + 0.2, 0.3), (1.0, 1.000001)]
    for rank, (left, right) in enumerate(pairs):
        assert compare(of(left), of(right), tolerance).equal == (rank <= allowed)


def test_the_reason_names_the_place_and_both_sides() -> None:
    found = compare(of([{"k": [1, 2]}]), of([{"k": [1, 3]}]))
    assert not found.equal
    assert found.reason == "result[0]['k'][1]: int 2 and int 3"
    assert compare(of(1), of(1)).reason == ""


def test_the_widest_tolerance_of_all_parts_counts() -> None:
    assert compare(of([1, 0.1 + 0.2, 3]), of([1.0, 0.3, 3])).needed == "1e-9"


def test_an_unknown_tolerance_is_refused() -> None:
    with pytest.raises(ValueError, match="exact, line-ends, numeric"):
        compare(of(1), of(1), "1e-3")


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("n", NULL),
        ("t", Value("bool", True)),
        ("i-12;", Value("int", -12)),
        ("i32:-12;", Value("int", -12, "int32")),
        ("u8:255;", Value("int", 255, "uint8")),
        ("d3ff0000000000000;", Value("float", 1.0)),
        ("e3fc00000;", Value("float", 1.5, "float32")),
        ("mbff0000000000000;", Value("number", -1.0)),
        ("s;", Value("str", "")),
        ("sc3a9;", Value("str", "é")),
        ("cc3a9;", Value("str", "é", "char")),
        ("Sd83dde00;", Value("str", "😀")),
        ("Sd83d;", Value("str", "\ud83d")),
        ("b00ff;", Value("bytes", b"\x00\xff")),
        ("[i1;[]]", Value("list", (Value("int", 1), Value("list", ())))),
        ("(n)", Value("tuple", (NULL,))),
        ("<n>", Value("set", (NULL,))),
        ("{s61;i1;}", Value("dict", ((Value("str", "a"), Value("int", 1)),))),
        ("o{}", Value("dict", (), "object")),
        ("r51;{s61;n}", Value("record", ((Value("str", "a"), NULL),), name="Q")),
    ],
)
def test_the_wire_form_is_read_and_written(wire: str, value: Value) -> None:
    assert decode(wire) == value
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "q",
        "i",
        "i;",
        "ix;",
        "i7:1;",
        "d00;",
        "[n",
        "[n)",
        "{n}",
        "sc3;",
        "s6;",
        "nn",
        "n ",
        "r51;n",
        "o",
        "[" * 300,
    ],
)
def test_what_is_not_in_the_wire_form_is_refused(wire: str) -> None:
    with pytest.raises(NotAValue):
        decode(wire)


def test_an_endless_int_is_refused_before_it_costs_time() -> None:
    with pytest.raises(NotAValue, match="digits"):
        decode(f"i{'9' * 100_000};")


@pytest.mark.parametrize("item", [object(), 1j, len, [object()], {"a": {1: object()}}])
def test_host_objects_without_a_canonical_form_are_refused(item: Any) -> None:
    with pytest.raises(NotAValue):
        of(item)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotAValue, match="deeper"):
        encode(endless)


def test_digests_do_not_depend_on_the_order_of_sets_and_dicts() -> None:
    one = Value("set", (of(1), of(2)))
    other = Value("set", (of(2), of(1)))
    assert digest(one) == digest(other)
    assert digest(of({"a": 1, "b": 2})) == digest(of({"b": 2, "a": 1}))
    assert digest(of([1, 2])) != digest(of([2, 1]))
    assert digest(of(1)) != digest(of(1.0))


def test_plain_undoes_of() -> None:
    item = {"a": [1, (2.5, None)], "b": {"c": "é", "d": {1, 2}}, 3: b"x"}
    assert plain(of(item)) == item


@pytest.mark.parametrize(
    ("left", "right", "class_"),
    [
        ("t", "i1;", "different"),
        ("f", "i0;", "different"),
        ("t", f"d{struct.pack('>d', 1.0).hex()};", "different"),
        ("n", "i0;", "different"),
        ("n", "s;", "different"),
        ("n", "[]", "different"),
        ("n", "f", "different"),
        ("{s61;n}", "{}", "different"),
        ("i32:7;", "i7;", "exact"),
        ("i9007199254740993;", "i9007199254740992;", "different"),
        ("i3;", f"d{struct.pack('>d', 3.0).hex()};", "numeric"),
        ("i3;", f"m{struct.pack('>d', 3.0).hex()};", "exact"),
        (f"d{struct.pack('>d', 0.0).hex()};", f"d{struct.pack('>d', -0.0).hex()};", "numeric"),
        (f"d{struct.pack('>d', float('nan')).hex()};", f"m{struct.pack('>d', float('nan')).hex()};", "exact"),
        (f"d{struct.pack('>d', float('nan')).hex()};", "i0;", "different"),
        (f"d{struct.pack('>d', float('inf')).hex()};", f"d{struct.pack('>d', 1.7e308).hex()};", "different"),
        ("c61;", "s61;", "exact"),
        ("b0102;", "[i1;i2;]", "numeric"),
        ("[i1;i2;]", "(i1;i2;)", "exact"),
        ("[i1;i2;]", "[i2;i1;]", "different"),
        ("<i1;i2;>", "<i2;i1;>", "exact"),
        ("<i1;i2;>", "[i1;i2;]", "different"),
    ],
)
def test_the_table_of_alike_values(left, right, class_):
    assert compare(decode(left), decode(right), "1e-5").needed == class_
    assert compare(decode(right), decode(left), "1e-5").needed == class_


@pytest.mark.parametrize(
    ("left", "right", "needed"),
    [
        ("1 2\n", "1 2\n", "exact"),
        ("1 2\n", "1 2", "line-ends"),
        ("1 2 \n\n", "1 2\n", "line-ends"),
        ("a\r\nb\n", "a\nb\n", "line-ends"),
        ("2.0\n", "2\n", "numeric"),
        ("mean: 2.50, 3\n", "mean: 2.5, 3\n", "numeric"),
        ("0.30000000000000004\n", "0.3\n", "1e-9"),
        ("1e-3 x\n", "0.00100001 x\n", "1e-5"),
        ("3\n", "4\n", "different"),
        ("10\n", "010\n", "different"),
        (" 1\n", "1\n", "different"),
        ("1  2\n", "1 2\n", "different"),
        ("1\n\n2\n", "1\n2\n", "different"),
        ("1.10.0\n", "1.1.0\n", "different"),
        ("v1.10\n", "v1.1\n", "different"),
        ("2.5\n", "2.6\n", "different"),
        ("a 1.0\n", "b 1.0\n", "different"),
        ("", "\n", "line-ends"),
    ],
)
def test_printed_texts_agree_line_by_line_and_number_by_number(left: str, right: str, needed: str) -> None:
    assert compare(printed(left), printed(right), "exact").needed == needed
    assert compare(printed(right), printed(left), "exact").needed == needed
    # A text that is a value is the same or it is not.
    assert compare(of(left), of(right)).equal == (left == right)


def test_printed_text_travels_as_utf_8_only() -> None:
    assert decode(encode(printed("é😀\n"))) == printed("é😀\n")
    with pytest.raises(NotAValue):
        decode("pff;")
