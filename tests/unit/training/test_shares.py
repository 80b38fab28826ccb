"""What an allocation file may hold, and what is said of one that holds something else."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from quality.mistakes import BadInput
from training.allocation import Allocation, Stage, read_allocation, staged

CURRICULUM = {
    "stages": [
        {"until_tokens": 1000, "shares": {"python": 1.0}},
        {"until_tokens": 4000, "shares": {"python": 0.25, "go": 0.75}},
    ]
}


def written(folder: Path, value: object) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps(value))
    return path


def test_a_curriculum_is_read_and_written_back(tmp_path: Path) -> None:
    read = read_allocation(written(tmp_path, CURRICULUM))
    assert read.stages == (Stage(1000, {"python": 1.0}), Stage(4000, {"python": 0.25, "go": 0.75}))
    assert read.shares == {"python": 0.4375, "go": 0.5625}, "of all stages together"
    assert read_allocation(written(tmp_path, read.as_json())) == read
    assert read.targets(4000) == {"python": 1750, "go": 2250}
    assert read.targets(2000) == {"python": 1250, "go": 750}, "a smaller budget ends within the curriculum"
    assert read.targets(500) == {"python": 500, "go": 0}
    with pytest.raises(BadInput, match="end at 4000 tokens, but 4001"):
        read.targets(4001)


def test_shares_that_sum_to_nearly_one_are_scaled() -> None:
    assert sum(Allocation({"python": 0.5, "go": 0.5000001}).targets(10**12).values()) == Fraction(10**12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stages": []}, "no list of stages"),
        ({"stages": [3]}, r"stages\[0\].until_tokens: None is not a whole number"),
        ({"stages": [{"until_tokens": 1.5, "shares": {"go": 1.0}}]}, "1.5 is not a whole number"),
        ({"stages": [*CURRICULUM["stages"], CURRICULUM["stages"][0]]}, "1000: must be above 4000"),
        ({"stages": [{"until_tokens": 9, "shares": {"go": 0.5, "cobol": 0.5}}]}, r"stages\[0\].shares.cobol"),
        ({"stages": [{"until_tokens": 9, "shares": {"go": 0.5}}]}, r"stages\[0\].shares: sum to 0.5, not 1"),
        ({**CURRICULUM, "shares": {"python": 0.5, "go": 0.5}}, "is not what the stages have together"),
        ({"shares": {"go": "all"}}, "shares.go: 'all' is not a number"),
        ({}, "an allocation looks like"),
        ([], "an allocation looks like"),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, changed: object, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_allocation(written(tmp_path, changed))
    assert all(str(mistake).startswith(str(tmp_path / "a.json")) for mistake in caught.value.mistakes)


def test_stages_follow_each_other() -> None:
    with pytest.raises(BadInput, match="empty; name at least one stage"):
        staged([])
    with pytest.raises(BadInput, match="0: must be above 0"):
        staged([Stage(0, {"go": 1.0})])


def test_a_share_that_is_no_number_hides_no_other_mistake(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"shares": {"python": NaN, "go": -0.3, "cobol": 0.1, "rust": "a"}}')
    with pytest.raises(BadInput) as caught:
        read_allocation(file)
    assert {one.where.split(".")[-1] for one in caught.value.mistakes} == {"python", "go", "cobol", "rust"}
    file.write_text('{"stages": [{"until_tokens": 5, "shares": {"python": 0.5}}, {"shares": {"go": 1}}]}')
    with pytest.raises(BadInput, match=r"(?s)stages\[1\].until_tokens: None.*stages\[0\].shares: sum to 0.5"):
        read_allocation(file)
