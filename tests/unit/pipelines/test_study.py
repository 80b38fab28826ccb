"""A study says all its mistakes at once, each where it stands and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.demo import STUDY
from pipelines.study import read_study
from pipelines.turn import turn
from quality.mistakes import BadInput

GOOD = """
name = "small"
languages = ["python", "go"]
pivot = "python"
seed = 1
[[sources]]
name = "own"
spec = "own/"
[shards]
tokens = "60k"
sequence_length = 64
[sweep]
sizes = ["25k"]
tokens = ["8k"]
sequence_length = 64
batch_tokens = 512
[allocation]
tokens = "1.5B"
params = 100_000
"""


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def mistakes(path: Path) -> dict[str, str]:
    with pytest.raises(BadInput) as caught:
        read_study(path)
    where = [mistake.where.removeprefix(f"{path}: ") for mistake in caught.value.mistakes]
    assert len(where) == len(set(where))
    return dict(zip(where, (mistake.what for mistake in caught.value.mistakes), strict=True))


def test_counts_are_read_as_in_a_sweep(tmp_path: Path) -> None:
    study = read_study(written(tmp_path))
    assert (study.shards.tokens, study.sweep.tokens, study.allocation.tokens) == (60_000, (8_000,), 1_500_000_000)


def test_the_demos_study_has_no_mistake() -> None:
    assert read_study(Path(str(STUDY))).name == "demo"


def test_all_mistakes_are_said_at_once_and_each_once(tmp_path: Path) -> None:
    found = mistakes(
        written(
            tmp_path,
            ('"small"', '"My Study"'),
            ('["python", "go"]', '["python", "cobol"]'),
            ("seed = 1", "seed = -1\ncolour = 3"),
            ('["8k"]', '["many"]'),
            ('"60k"', '"60k"\nshares = {python = 0.7, cobol = 0.7}'),
            ("params = 100_000", 'max_epochs = nan\n[fit]\nlaw = "moore"'),
        )
    )
    assert set(found) == {
        *("name", "languages", "seed", "colour", "sweep.tokens[0]", "fit.law", "shards.shares"),
        *("allocation.params", "allocation.max_epochs"),
    }
    assert "small letters" in found["name"]
    assert "known: python, java" in found["languages"]
    assert "'moore' is not a law; known: chinchilla" in found["fit.law"]
    assert "'cobol' is not a source" in found["shards.shares"]
    assert "missing" in found["allocation.params"]


def test_parts_that_do_not_fit_together_are_said(tmp_path: Path) -> None:
    found = mistakes(
        written(tmp_path, ('pivot = "python"', 'pivot = "rust"'), ("100_000", "100_000\nweights.go = 1.0"))
    )
    assert "the pivot 'rust'" in found["study"]
    assert "allocation.weights" in found["study"]


def test_wrong_stages_and_sources_are_refused_before_a_turn_is_begun(tmp_path: Path) -> None:
    study = written(tmp_path, ('"python", "go"', '"python"'))
    with pytest.raises(BadInput, match="'oven' is not a stage"):
        turn(study, tmp_path / "store", redo=["oven"])
    with pytest.raises(BadInput, match="'other' is not a source of the study; it names own"):
        turn(study, tmp_path / "store", sources={"other": "/"})
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]
