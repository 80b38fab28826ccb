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


def test_an_allocation_may_be_held_by_limits_that_are_checked_with_the_study(tmp_path: Path) -> None:
    limits = (
        'params = 100_000\nfloors = {go = 0.2}\nfixed = {"text:docs" = 0.1, "pair:python-go" = 0.1}\n'
        "stages = [0.5, 0.9]\ntransfer = true\n"
    )
    text = '[[texts]]\nname = "docs"\nspec = "docs.jsonl"\n[shards]'
    good = written(
        tmp_path, ("params = 100_000", limits), ("[shards]", text), ("[allocation]", "bilingual = [0.5]\n[allocation]")
    )
    study = read_study(good)
    assert (study.allocation.stages, study.allocation.transfer, study.fit.against) == ((0.5, 0.9), True, ("skaling",))
    assert study.texts[0].name == "docs"
    found = mistakes(written(tmp_path, ("params = 100_000", limits.replace("go = 0.2", "rust = 0.2"))))
    for said in (
        "allocation.floors.rust is not one of the study's languages",
        "allocation.fixed names text:docs, but there is no [[texts]] entry of that name",
        "allocation.transfer needs runs on mixtures",
    ):
        assert said in found["study"]
    wrong = "params = 100_000\nfloors = {go = 1.2}\nfixed = {go = 0.5, cobol = 0.1}\nstages = [0.9, 0.5]\n"
    found = mistakes(written(tmp_path, ("params = 100_000", wrong)))
    for said in (
        "stages: [0.9, 0.5] are not rising fractions",
        "floors.go: 1.2 is not a fraction",
        "fixed.cobol: 'cobol' is not a source",
        "floors.go: is fixed as well",
    ):
        assert said in found["allocation"]


def test_laws_that_no_turn_can_allocate_by_are_refused_by_name(tmp_path: Path) -> None:
    laws = 'params = 100_000\n[fit]\nlaw = "repetition"\nagainst = ["proportional", "moore"]'
    found = mistakes(written(tmp_path, ("params = 100_000", laws)))
    assert "repetition reads unique tokens, which is not known here; use one of chinchilla" in found["fit.law"]
    for said in ("the paper's proportion-dependent law, as printed, is degenerate", "'moore' is not a law"):
        assert said in found["fit.against"]
    found = mistakes(written(tmp_path, ("params = 100_000", 'params = 100_000\n[fit]\nlaw = "skaling"')))
    assert "name laws other than skaling" in found["fit"]


def test_laws_of_mixtures_need_a_sweep_of_mixtures_and_have_their_own_transfer(tmp_path: Path) -> None:
    laws = 'params = 100_000\n[fit]\nlaw = "interaction"\nagainst = ["skaling", "additive"]'
    mixed = ("[allocation]", "bilingual = [0.5]\n[allocation]")
    study = read_study(written(tmp_path, ("params = 100_000", laws), mixed))
    assert study.fit.mixture_laws == ("interaction", "additive")
    found = mistakes(written(tmp_path, ("params = 100_000", laws.replace("[fit]", "transfer = true\n[fit]"))))
    for said in (
        "allocation.transfer needs runs on mixtures",
        "fit: interaction needs runs on mixtures",
        "fit: additive needs runs on mixtures",
        "allocation.transfer is for laws of a language's own tokens; interaction reads the whole mixture",
    ):
        assert said in found["study"]


def test_a_prior_is_checked_with_the_study(tmp_path: Path) -> None:
    def asked(lines: str) -> Path:
        return written(tmp_path, ("params = 100_000", f"params = 100_000\n{lines}"))

    assert read_study(asked("")).allocation.prior is None
    even = read_study(asked('prior = "uniform"\nprior_weight = 0.01')).allocation
    assert (even.prior, even.prior_weight) == ("uniform", 0.01)
    given = read_study(asked("prior = {python = 0.7, go = 0.3}\nprior_weight = 0.01")).allocation
    assert given.prior == {"python": 0.7, "go": 0.3}
    assert "has no effect without --prior-weight above 0" in mistakes(asked('prior = "uniform"'))["allocation"]
    assert "needs --prior" in mistakes(asked("prior_weight = 0.1"))["allocation"]
    found = mistakes(asked("prior = {python = 0.9, go = 0.3, rust = -0.1}\nprior_weight = 0.1"))["allocation"]
    assert "prior.rust: -0.1 is not a fraction above 0" in found
    assert "prior: sums to 1.1, not 1" in found
    found = mistakes(asked("prior = {python = 0.5, rust = 0.5}\nprior_weight = 0.1"))["study"]
    assert "allocation.prior names python, rust; name each of the study's languages" in found


def test_a_curriculum_of_shards_is_checked_and_scaled_to_their_tokens(tmp_path: Path) -> None:
    stages = (
        '"60k"\nstages = [{until_tokens = "20k", shares = {python = 1.0}}, {until_tokens = "60k", shares = {go = 1.0}}]'
    )
    allocation = read_study(written(tmp_path, ('"60k"', stages))).shards.allocation()
    assert allocation is not None
    assert allocation.shares == pytest.approx({"python": 1 / 3, "go": 2 / 3})
    assert [stage.until_tokens for stage in allocation.scaled(30_000).stages] == [10_000, 30_000]
    found = mistakes(written(tmp_path, ('"60k"', stages.replace('"60k", shares', '"50k", shares'))))
    assert "stages: end at 50000 tokens, but 60000 are asked for" in found["shards"]
    both = stages + "\npair_share = 0.1\nshares = {python = 1.0}"
    found = mistakes(written(tmp_path, ('"60k"', both)))
    assert "shares and stages are both given" in found["shards"]
    assert "pair_share goes with the same share" in found["shards"]
    missing = '[[texts]]\nname = "own"\nspec = "none.jsonl"\n[shards]'
    assert "two sources are called 'own'" in mistakes(written(tmp_path, ("[shards]", missing)))["study"]


def test_a_text_that_is_missing_or_another_is_refused_before_a_turn_is_begun(tmp_path: Path) -> None:
    text = f'[[texts]]\nname = "docs"\nspec = "{tmp_path}/docs.jsonl"\nsha256 = "{"0" * 64}"\n[shards]'
    study = written(tmp_path, ('"python", "go"', '"python"'), ("[shards]", text))
    with pytest.raises(BadInput, match=r"docs\.jsonl: no such file"):
        turn(study, tmp_path / "store")
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "one"}\n')
    with pytest.raises(BadInput, match=r"other\.jsonl: has the checksum [0-9a-f]{64}, the study says 0000"):
        turn(study, tmp_path / "store", sources={"docs": str(other)})
    assert not (tmp_path / "store").exists()
