from __future__ import annotations

import pytest

from quality.mistakes import BadInput, Mistake, Mistakes, bad_input


def test_mistakes_of_several_checks_are_told_together_and_once() -> None:
    mistakes = Mistakes()
    for where in ("a", "b", "a"):
        with mistakes.noted():
            bad_input(where, "is wrong")
    with mistakes.noted():
        pass
    with pytest.raises(BadInput) as wrong:
        mistakes.tell()
    assert wrong.value.mistakes == (Mistake("a", "is wrong"), Mistake("b", "is wrong"))


def test_other_errors_are_not_kept_and_no_mistake_is_no_error() -> None:
    mistakes = Mistakes()
    with pytest.raises(KeyError), mistakes.noted():
        raise KeyError("x")
    mistakes.tell()


@pytest.mark.parametrize(
    ("name", "told"),
    [("a\nb.py", r"a\nb.py"), ("\x1b[2Jgone", r"\x1b[2Jgone"), ("\udcff", r"\udcff"), ("a b-ä.py", "a b-ä.py")],
)
def test_a_mistake_is_one_line_whatever_the_name(name: str, told: str) -> None:
    assert str(Mistake(name, "is empty")) == f"{told}: is empty"
