"""A turn of a study that compares pairing with shuffling and scores translations: from pairs to what a report asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_corpus import code, write_corpus, write_pairs

from analysis.report.pairing import gains_of
from analysis.report.reading import reading
from parallel_mining.pairs import PAIR_SCHEMA
from pipelines.stages import states_of
from pipelines.study import read_study
from pipelines.turn import Place, stages_of
from quality.artifacts import creating, read_manifest
from quality.mistakes import BadInput
from tests.unit.parallel_mining.translation_pairs import CODE, evidence

STUDY = """
name = "small"
languages = ["python", "go"]
pivot = "python"
seed = 1
[[sources]]
name = "own"
spec = "own/"
[tokens]
vocabulary = 400
[shards]
tokens = "8k"
sequence_length = 256
[sweep]
sizes = ["25k"]
tokens = [2560]
each_language = false
pairing = ["parallel", "shuffled"]
sequence_length = 256
batch_tokens = 256
validation_tokens = 512
[sweep.mixtures.paired]
python = 0.5
"pair:python-go" = 0.5
[allocation]
tokens = "1.5B"
params = 100_000
[evaluation]
per_direction = 5
"""


def write_turn(turn: Path) -> None:
    """Write a corpus, and pairs of which those held out can be run."""
    texts = {
        ("python", "train"): [code("python", n) for n in range(30)],
        ("go", "train"): [code("go", n) for n in range(20)],
        ("python", "validation"): [*(CODE[name]["python"] for name in CODE), code("python", 1001)],
        ("go", "validation"): [code("go", 1001)],
        ("javascript", "validation"): [*(CODE[name]["javascript"] for name in CODE), "let a = [1, 2];\n" * 60],
    }
    corpus = write_corpus(turn / "corpus", texts)
    trained = write_pairs(turn / "written", corpus)
    held_out: list[dict[str, Any]] = []
    for number, name in enumerate(CODE):
        row: dict[str, Any] = {**trained[0], "pair_id": f"held-{name}", "split": "validation"}
        for side, language in (("left", "python"), ("right", "javascript")):
            document = corpus[language, "validation"][number]
            row |= {f"{side}_language": language, f"{side}_entry": name, f"{side}_code": document["text"]}
            row |= {f"{side}_document": document["id"], f"{side}_repo": document["repo_name"]}
            row |= {f"{side}_path": document["path"]}
        held_out.append({**row, "cases": 10, "agreed": 10, "evidence": json.dumps(evidence(name))})
    identity = {"corpus": read_manifest(turn / "corpus")["fingerprint"], "pairs": len(trained) + len(held_out)}
    with creating(turn / "pairs", "pairs", identity) as draft:
        pq.write_table(pa.Table.from_pylist([*trained, *held_out], PAIR_SCHEMA), draft.path / "pairs.parquet")


@pytest.mark.torch
@pytest.mark.toolchain
def test_both_pairings_are_trained_scored_on_translations_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    study, turn = read_study(path), tmp_path / "store" / "small" / "0"
    turn.mkdir(parents=True)
    write_turn(turn)
    stages = {stage.kind: stage for stage in stages_of(study, Place(turn, {}, None, "polymix turn"))}
    assert list(stages)[:6] == ["corpus", "pairs", "tokens", "parted", "evaluation", "shards"]
    assert stages["runs"].inputs == ("tokens", "parted", "evaluation")
    for kind in ("tokens", "parted", "evaluation", "runs"):
        stages[kind].run(turn / kind)
    parted, whole = (read_manifest(turn / kind, "tokens")["counts"]["sources"] for kind in ("parted", "tokens"))
    assert set(parted) == {"pair:python-go", "pair:python-javascript"}
    # The same code, in twice as many documents.
    two, one = (counts["pair:python-go"]["train"] for counts in (parted, whole))
    assert two["code_tokens"] == one["code_tokens"]
    assert two["documents"] == 2 * one["documents"] == 16
    runs = pq.read_table(turn / "runs" / "runs.parquet").to_pylist()
    assert sorted(run["pairing"] for run in runs) == ["parallel", "shuffled"]
    scored = pq.read_table(turn / "runs" / "translations.parquet").to_pylist()
    assert {(row["source_language"], row["target_language"]) for row in scored} == {
        ("python", "javascript"),
        ("javascript", "python"),
    }
    assert {row["run_id"] for row in scored} == {run["run_id"] for run in runs}
    with reading(turn) as read:
        compared = read.ask("report_pairing").records()
        scores = read.ask("report_translations").records()
    gains = {row["measured_on"]: row for row in gains_of(compared)}
    assert {"python to javascript", "javascript to python", "python", "go"} <= gains.keys()
    assert all(row["runs"] == 1 and row["interval"] is None for row in gains.values())
    assert len(scores) == len(runs)
    # Without the two settings a turn has the stages that it always had, and its runs the same identity.
    plain = tmp_path / "plain.toml"
    plain.write_text(STUDY.replace('pairing = ["parallel", "shuffled"]\n', "").partition("[evaluation]")[0])
    usual = stages_of(read_study(plain), Place(turn, {}, None, ""))
    assert {"parted", "evaluation"}.isdisjoint(stage.kind for stage in usual)
    assert next(stage.inputs for stage in usual if stage.kind == "runs") == ("tokens",)
    assert {state.kind: state.state for state in states_of(usual, turn)}["shards"] == "missing"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('[sweep.mixtures.paired]\npython = 0.5\n"pair:python-go" = 0.5\n', "", "no mixture of the sweep has any"),
        ("vocabulary = 400", 'vocabulary = 400\npair_style = "shuffled"', "parts the halves itself"),
        ("per_direction = 5", "per_direction = 0", "evaluation.per_direction"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = STUDY.replace(old, new)
    if "each_language = false" in text and "mixtures" not in text:
        text = text.replace("each_language = false\n", "")
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(BadInput, match=words):
        read_study(tmp_path / "study.toml")
