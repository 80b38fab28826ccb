from __future__ import annotations

from parallel_mining.cases import Family, cases, families, merged, shapes
from parallel_mining.signatures import Parameter, Signature, call_compatible, shared_arities
from parallel_mining.types import parse_type


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
    assert len(shapes(signature(None), signature(None))) == 5
    assert [str(t) for [t] in shapes(signature(None), signature("str"))] == ["str"]


def test_cases_are_distinct_seeded_and_of_their_family():
    family = Family((parse_type("int32"), parse_type("list[float]")), "plain")
    drawn = cases(family, 24, 1)
    assert len({repr(c) for c in drawn}) == len(drawn) >= 20
    assert drawn == cases(family, 24, 1) != cases(family, 24, 2)
    assert all(isinstance(a, int) and a >= 0 and b and all(x >= 0 for x in b) for a, b in drawn)


def test_literals_of_the_programs_come_among_the_cases():
    drawn = cases(Family((parse_type("int"),), "full"), 24, 1, (777, "x", 3.5))
    assert (777,) in drawn
    assert all(isinstance(a, int) for (a,) in drawn)


def test_a_lexicon_is_tried_where_the_programs_hold_texts():
    shape = (parse_type("str"),)
    assert [f.level for f in families(shape)] == ["full", "plain", "narrow"]
    last = families(shape, ("(", ")"))[-1]
    assert last.level == "lexicon"
    assert all(set(text) <= set("() ,") for (text,) in cases(last, 24, 1, ("(", ")")))
