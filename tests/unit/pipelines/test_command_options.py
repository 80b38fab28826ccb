from __future__ import annotations

import click
import pytest

from pipelines.commands.ranges import FiniteRange


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1.5", "much"])
def test_what_is_no_number_within_limits_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter):
        FiniteRange(0, 1).convert(value, None, None)


def test_a_number_within_limits_is_taken() -> None:
    assert FiniteRange(0, 1).convert("0.25", None, None) == 0.25
    with pytest.raises(click.BadParameter, match="'inf' is not a finite number"):
        FiniteRange(0).convert("inf", None, None)
