from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from quality.mistakes import BadInput
from training.layout import Layout, layout_mistakes
from training.runs import RunSpec
from training.settings import SweepSettings, read_sweep_settings


def parsed(**fields: Any) -> SweepSettings:
    return SweepSettings.model_validate_json(json.dumps({"sizes": ["4M"], "tokens": ["100M"], **fields}))


def test_counts_may_be_texts_and_defaults_are_for_real_use() -> None:
    settings = parsed(tokens=["100M", 200_000_000])
    assert settings.tokens == (100_000_000, 200_000_000)
    assert (settings.sequence_length, settings.batch_tokens, settings.learning_rate) == (2048, "by size", "by size")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sizes": ["4M", "4M"]}, "named more than once: 4M"),
        ({"sizes": []}, "at least 1 item"),
        ({"languages": ["cobol"]}, "not in the registry: cobol"),
        ({"mixtures": {"half": {"go": 0.5}}}, "half.shares: sum to 0.5, not 1"),
        ({"batch_tokens": 3000}, "batch_tokens 3000 is not a whole number of sequences of 2048; 2048 is"),
        ({"tokens": ["1M"], "batch_tokens": 524_288}, "fewer than 10 steps of 524288 tokens; .* lower batch_tokens"),
        ({"tokens": ["10k"]}, "fewer than 10 steps of 2048 tokens; .* lower sequence_length"),
        ({"tokens": ["10.4M", "10.5M"], "batch_tokens": 1_048_576}, "are not all different in whole steps"),
        ({"schedule": "linear"}, "Input should be 'wsd-sqrt' or 'cosine'"),
        ({"each_language": False}, "nothing to train on"),
        ({"learning_rate": 2.0}, "is not between 0 and 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"max_epochs": 0.0}, "greater than 0"),
        ({"bilingual": [0.5, 1.0]}, "1.0 is not between 0 and 1; name the share of the first language"),
        ({"pairing": ["parallel", "parallel"]}, "named more than once: parallel"),
        ({"pairing": ["plain"]}, "Input should be 'parallel' or 'shuffled'"),
        ({"rate_factors": [0.0]}, "0.0 is not a factor above 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        parsed(**fields)


def test_a_mistake_names_the_field_and_nothing_of_how_it_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'sizes = ["4M"]\ntokens = ["100M"]\nbatch_tokens = [1]\nlearning_rate = "fast"\nfloat8 = 3\n'
        'mixtures.a.go = "x"\n'
    )
    with pytest.raises(BadInput) as caught:
        read_sweep_settings(file)
    fields = ["mixtures.a.go", "batch_tokens", "batch_tokens", "learning_rate", "learning_rate", "float8"]
    assert [one.where for one in caught.value.mistakes] == [f"{file}: {field}" for field in fields]


def test_mixtures_of_two_languages_and_of_all() -> None:
    made = parsed(languages=["go", "rust"], bilingual=[0.5, 0.75], uniform=True, mixtures={"mine": {"java": 1.0}})
    assert made.all_mixtures(("python",)) == {
        "go": {"go": 1.0},
        "rust": {"rust": 1.0},
        "go-rust 0.5": {"go": 0.5, "rust": 0.5},
        "go-rust 0.75": {"go": 0.75, "rust": 0.25},
        "rust-go 0.75": {"rust": 0.75, "go": 0.25},
        "uniform": {"go": 0.5, "rust": 0.5},
        "mine": {"java": 1.0},
    }
    assert len(parsed(each_language=False, bilingual=[0.5]).all_mixtures(tuple("abcdefg"))) == 21
    with pytest.raises(BadInput, match=r"mixtures\.uniform: is the name of a mixture that this sweep makes itself"):
        parsed(uniform=True, mixtures={"uniform": {"go": 1.0}}).all_mixtures(("go",))


def test_allocations_are_read_beside_the_file_and_only_their_content_counts(tmp_path: Path) -> None:
    allocation = tmp_path / "allocation.json"
    allocation.write_text(json.dumps({"shares": {"go": 0.25, "rust": 0.75}, "gain": 0.1}))
    file = tmp_path / "sweep.toml"
    start = 'sizes = ["4M"]\ntokens = ["100M"]\n'
    file.write_text(start + '[mixtures.half]\ngo = 0.5\nrust = 0.5\n[allocations]\nrecommended = "allocation.json"\n')
    half = {"go": 0.5, "rust": 0.5}
    settings = read_sweep_settings(file)
    assert settings == parsed(mixtures={"half": half, "recommended": {"go": 0.25, "rust": 0.75}})
    file.write_text(
        start + '[mixtures.half]\ngo = 1.0\n[allocations]\nhalf = "allocation.json"\nnone = "none.json"\nx = 1\n'
    )
    with pytest.raises(BadInput) as caught:
        read_sweep_settings(file)
    said = "\n".join(str(mistake) for mistake in caught.value.mistakes)
    assert "allocations.half: is the name of a mixture, too" in said
    assert "allocations.none" in said
    assert "no such file" in said
    assert "allocations.x: 1 is not the path of a file" in said


def test_a_file_with_three_mistakes_lists_three(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["4 M"]\nseeds = 0\nlayers = 2\n')
    with pytest.raises(BadInput) as caught:
        read_sweep_settings(file)
    said = [str(mistake).removeprefix(f"{file}: ") for mistake in caught.value.mistakes]
    assert [line.split(":")[0] for line in said] == ["sizes", "tokens", "seeds", "layers"]
    with pytest.raises(BadInput, match="no such file"):
        read_sweep_settings(tmp_path / "none.toml")
    file.write_text("sizes = [")
    with pytest.raises(BadInput, match="not TOML"):
        read_sweep_settings(file)


def test_a_layout_says_all_that_does_not_fit() -> None:
    spec = RunSpec("25k", 1000, {}, 0, 30, 90, 0.01, "")
    wrong = [str(mistake) for mistake in layout_mistakes(spec, 100, Layout(8, 4))]
    assert wrong == [
        "processes: 2 shards do not divide the 3 sequences of a batch; change batch_tokens",
        "tensor_parallel: 4 does not divide 2 (heads of 25k)",
        "tensor_parallel: 4 does not divide 30 (sequence_length of 25k)",
    ]
    assert layout_mistakes(spec, 100, Layout()) == []
