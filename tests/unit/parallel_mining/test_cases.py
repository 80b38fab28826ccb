from __future__ import annotations

import os
import subprocess
import sys

import pytest

from parallel_mining.cases import cases, merged, shapes, strange
from parallel_mining.domains import at_least, documented, non_empty
from parallel_mining.signatures import Parameter, Signature, call_compatible, shared_arities
from parallel_mining.types import Type, parse_type


def signature(*types: str | None, optional: int = 0) -> Signature:
    count = len(types) - optional
    return Signature(tuple(Parameter(f"p{i}", t and parse_type(t), i >= count) for i, t in enumerate(types)))


def test_arities_allow_for_defaults():
    assert shared_arities(signature("int", "int", "int", optional=2), signature("int", "int")) == (2,)
    assert shared_arities(signature("int", None, optional=1), signature("int", "str", optional=1)) == (2, 1)
    assert shared_arities(signature("int"), signature("int", "int")) == ()


def test_types_must_suit():
    assert call_compatible(signature("int64"), signature("float"))
    assert call_compatible(signature("str"), signature(None))
    assert not call_compatible(signature("str"), signature("int"))
    assert not call_compatible(signature("list[str]"), signature("list[int]"))


def test_the_narrower_type_is_used():
    assert str(merged(parse_type("float"), parse_type("int32"))) == "int32"
    assert str(merged(parse_type("list[number]"), parse_type("list[float]"))) == "list[float]"
    assert str(merged(None, parse_type("str"))) == "str"
    assert merged(parse_type("number"), parse_type("str")) is not None  # asked of slots that do not suit both, too


def test_undeclared_arguments_are_tried_as_several_types():
    assert len(shapes(signature(None), signature(None))) == 6
    assert [str(t) for [t] in shapes(signature(None), signature("str"))] == ["str"]


def test_examples_give_undeclared_arguments_their_types():
    assert [str(t) for t in shapes(signature(None, "int"), signature(None, None), [(["a"], 2)])[0]] == [
        "list[str]",
        "int",
    ]


def test_cases_are_distinct_and_seeded():
    shape = (parse_type("int32"), parse_type("list[float]"))
    drawn = cases(shape, 60, 1)
    assert len({repr(c) for c in drawn}) == len(drawn) == 60
    assert drawn == cases(shape, 60, 1) != cases(shape, 60, 2)
    assert any(a < 0 for a, _ in drawn)
    assert any(not b for _, b in drawn)
    assert all(isinstance(a, int) and all(isinstance(x, float) for x in b) for a, b in drawn)


def test_literals_of_the_programs_come_among_the_cases():
    drawn = cases((parse_type("int"),), 60, 1, (777, "x", 3.5))
    assert (777,) in drawn
    assert all(isinstance(a, int) for (a,) in drawn)


def test_texts_are_made_of_the_programs_own():
    drawn = cases((parse_type("str"),), 60, 1, ("(", ")"))
    assert sum(bool(text) and set(text) <= set("() ,") for (text,) in drawn) >= 12


def test_open_numbers_are_whole_and_fractional_and_never_a_whole_float():
    drawn = [value for (value,) in cases((parse_type("number"),), 60, 1)]
    assert any(isinstance(value, float) for value in drawn)
    assert not any(isinstance(value, float) and value.is_integer() for value in drawn)


def test_arguments_are_related_and_examples_varied():
    drawn = cases((parse_type("str"), parse_type("str")), 90, 1)
    assert sum(sorted(a) == sorted(b) for a, b in drawn) >= 3
    like = cases((parse_type("list[int]"),), 60, 1, examples=[([4001, 4002, 4003],)])
    assert ([4001, 4002, 4003],) in like
    assert sum(any(x > 4000 for x in items) for (items,) in like) >= 5


def test_cases_lie_within_restrictions():
    drawn = cases((parse_type("list[int]"),), 40, 1, restrictions=(non_empty(0, "types"), at_least(0, 1, "types")))
    assert len(drawn) == 40
    assert all(items and min(items) >= 1 for (items,) in drawn)


KINDS = [
    "int", "uint8", "float", "str", "char", "bool", "null", "any", "optional[int]", "optional[str]", "list[int]",
    "list[optional[str]]", "set[str]", "dict[str,int]", "tuple[int,str]", "list[list[int]]", "optional[list[int]]",
]  # fmt: skip


@pytest.mark.parametrize("one", KINDS)
def test_cases_are_made_of_any_two_types(one: str) -> None:
    for other in KINDS:
        for seed in range(4):
            rows = cases((parse_type(one), parse_type(other)), 40, seed)
            assert rows
            assert all(len(row) == 2 for row in rows)


def test_cases_made_of_a_set_are_the_same_in_every_process() -> None:
    program = (
        "from parallel_mining.cases import cases\nfrom parallel_mining.types import parse_type\n"
        "print([(sorted(one), other) for one, other in cases((parse_type('set[str]'), parse_type('str')), 60, 1)])\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_texts_of_the_whole_domain_end_in_a_line_feed_too() -> None:
    (texts,) = zip(*cases((parse_type("str"),), 72, 17), strict=True)
    assert any(text.endswith("\n") for text in texts)
    assert any("\n\n" in text for text in texts)


@pytest.mark.parametrize("seed", [1, 2, 3, 17])
def test_texts_that_start_or_end_another_but_for_their_case_are_tried(seed: int) -> None:
    rows = [(a, b) for a, b in cases((parse_type("str"), parse_type("str")), 72, seed) if b]
    assert any(a.lower().startswith(b.lower()) and not a.startswith(b) for a, b in rows)
    assert any(a.lower().endswith(b.lower()) and not a.endswith(b) for a, b in rows)


def test_strange_arguments_are_like_none_of_the_cases() -> None:
    drawn = [(1, "a"), (2, "bc"), (3, "")]
    found = strange(drawn, range(1, 4), 60, 5)
    assert found == strange(drawn, range(1, 4), 60, 5)
    assert {len(case) for case in found} == {1, 2, 3}
    for case in found:
        kinds = [type(value) for value in case]
        small = len(case) == 2 and kinds == [int, str]
        assert not small or abs(case[0]) >= 2**31 - 1
    assert strange([], range(1, 2), 60, 5) == []


def test_seeds_come_often_with_their_arguments_exchanged_and_changed_a_little() -> None:
    seeds = [("Mercury", "Uranus"), ("Venus", "Saturn")]
    shape = (Type("str"), Type("str"))
    found = cases(shape, 72, 3, seeds=seeds)
    assert {("Mercury", "Saturn"), ("Venus", "Uranus"), *seeds} <= set(found)
    planets = {name for seed in seeds for name in seed}
    assert sum(any(argument in planets for argument in case) for case in found) > 15
    assert not any(argument in planets for case in cases(shape, 72, 3) for argument in case)


def conforms(value: object, type_: Type) -> bool:
    plain = {"bool": bool, "int": int, "str": str, "float": (int, float)}
    if type_.name in plain:
        return isinstance(value, plain[type_.name]) and isinstance(value, bool) == (type_.name == "bool")
    if type_.name == "tuple":
        return isinstance(value, tuple) and all(map(conforms, value, type_.of))
    return isinstance(value, list) and all(conforms(item, type_.of[0]) for item in value)


@pytest.mark.parametrize(
    ("type_", "shown"),
    [
        ("list[bool]", ([True, False, True], [False, False])),
        ("list[str]", (["a", "b"], ["c"])),
        ("list[list[bool]]", ([[True, False]], [[False, True], [True, True]])),
        ("list[list[str]]", ([["a", "b"], ["c", "d"]], [["e", "f"]])),
        ("list[tuple[int,str]]", ([(1, "a")], [(2, "b"), (3, "c")])),
        ("list[list[int]]", ([[1, 2], [3, 4]], [[5, 6]])),
    ],
)
def test_what_makes_cases_lie_within_restrictions_keeps_their_types(
    type_: str, shown: tuple[list[object], ...]
) -> None:
    shape = (parse_type(type_),)
    examples = tuple((value,) for value in shown)
    restrictions = documented("", examples, shape)
    assert "not empty" in {restriction.what for restriction in restrictions}
    made = cases(shape, 300, 5, ["x", 3], examples=examples, restrictions=restrictions)
    assert len(made) > 10 or type_ == "list[bool]"
    assert [case for case in made if not conforms(case[0], shape[0])] == []


def test_all_of_several_arguments_of_one_type_are_the_same_at_times() -> None:
    shape = (parse_type("int"), parse_type("str"), parse_type("int"), parse_type("int"))
    made = cases(shape, 144, 17)
    assert sum(a == c == d for a, _, c, d in made) >= 3


def test_what_may_be_anything_inside_is_also_tried_as_of_one_kind() -> None:
    found = {" ".join(map(str, shape)) for shape in shapes(signature(None, "str"), signature("list[any]", "str"))}
    assert found == {"list[any] str", "list[number] str", "list[str] str"}


@pytest.mark.parametrize(("types", "empty"), [("str str", ("", "")), ("list[int] str int", ([], "", 0)), ("int", (0,))])
def test_all_arguments_are_empty_at_once(types: str, empty: tuple[object, ...]) -> None:
    shape = tuple(map(parse_type, types.split()))
    assert empty in cases(shape, 72, 17)
