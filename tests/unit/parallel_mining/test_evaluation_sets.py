from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from translation_pairs import CODE, INPUTS, LINES, line, write_artifact, write_lines, write_verdicts

from parallel_mining import values
from parallel_mining.documents import translation_prompt
from parallel_mining.evaluation import EvaluationSettings, evaluation, read_instances
from parallel_mining.scoring import Translation, score_translations
from pipelines.commands.evaluation import command
from quality.artifacts import creating, read_manifest
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

DIRECTIONS = set(permutations(("python", "javascript", "typescript"), 2))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return read_instances(folder)


def excluded_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "excluded.parquet").to_pylist()


def direction(row: dict[str, Any]) -> tuple[str, str]:
    return row["source_language"], row["target_language"]


def made(tmp_path: Path, lines: list[dict[str, Any]], **options: Any) -> tuple[dict[str, Any], Path]:
    """Make a set of lines whose verdicts say that all are equivalent."""
    path = write_lines(tmp_path / "pairs.jsonl", lines)
    verdicts = write_verdicts(tmp_path / "verdicts.jsonl", lines)
    counts = evaluation([path], tmp_path / "set", verdicts=[verdicts], **options)
    return counts, tmp_path / "set"


@pytest.mark.toolchain
def test_groups_give_all_directions_and_unseen_ones_apart(tmp_path):
    counts, folder = made(tmp_path, LINES)
    rows = rows_of(folder)
    assert {direction(row) for row in rows} == DIRECTIONS
    assert len(rows) == counts["instances"] == 2 * len(DIRECTIONS)
    assert all(row["seen"] == ("python" in direction(row)) for row in rows)
    assert (counts["seen"], counts["unseen"], counts["groups"]) == (8, 4, 2)
    assert len(counts["directions"]) == len(LANGUAGES) * (len(LANGUAGES) - 1)
    by_direction = {(one["source"], one["target"]): one for one in counts["directions"]}
    assert by_direction["javascript", "typescript"]["instances"] == 2
    assert by_direction["javascript", "typescript"]["short"] == 48
    assert by_direction["go", "rust"]["instances"] == by_direction["go", "rust"]["groups"] == 0
    for row in rows:
        name = row["source_entry"]
        assert row["source_code"] == CODE[name][row["source_language"]]
        assert row["target_code"] == CODE[name][row["target_language"]]
        assert row["prompt"] == translation_prompt(row["source_code"], *direction(row))
        assert row["target_code"] not in row["prompt"]
        assert row["compared"] == row["agreed"] == len(row["cases"]) == len(INPUTS[name])
        assert row["source_licenses"] == row["target_licenses"] == ["MIT"]
        assert len(row["pairs"]) == (1 if row["seen"] else 2), "a third program stands between unseen directions"
        verified = json.loads(row["verified"])
        assert verified["runs"] == 3
        assert verified["source_toolchain"]
        assert json.loads(row["signature"])["parameters"][0]["name"] in ("a", "n")
    gcd = next(row for row in rows if row["source_entry"] == "gcd" and direction(row) == ("python", "typescript"))
    first = {values.encode(case): 0 for case in INPUTS["gcd"]}
    assert {case["arguments"] for case in gcd["cases"]} == first.keys()
    expected = {case["arguments"]: values.plain(values.decode(case["expected"])) for case in gcd["cases"]}
    assert expected[values.encode([12, 18])] == 6
    assert read_manifest(folder, "evaluation")["counts"] == counts
    assert (folder / "contract.html").is_file()


@pytest.mark.toolchain
def test_references_pass_their_own_instances_and_sources_of_others_do_not(tmp_path):
    _, folder = made(tmp_path, LINES)
    rows = rows_of(folder)
    right = [Translation(row, row["target_code"]) for row in rows]
    wrong = [
        Translation(row, other["target_code"], other["target_entry"])
        for row in rows
        for other in rows
        if other["group"] != row["group"] and direction(other) == direction(row)
    ]
    scores = score_translations([*right, *wrong])
    assert [score.passed for score in scores] == [True] * len(right) + [False] * len(wrong)
    assert len(right) == len(wrong)


def test_a_damaged_set_is_told(tmp_path):
    with pytest.raises(BadInput, match="no finished evaluation"):
        read_instances(tmp_path)
    with creating(tmp_path / "set", "evaluation", {}) as draft:
        (draft.path / "instances.parquet").write_text("no")
    with pytest.raises(BadInput, match="make the evaluation set again"):
        read_instances(tmp_path / "set")


@pytest.mark.toolchain
def test_the_set_is_the_same_whatever_the_order_of_the_lines(tmp_path):
    for name, lines in (("one", LINES), ("other", LINES[::-1])):
        (tmp_path / name).mkdir()
        made(tmp_path / name, lines)
    for name in ("instances.parquet", "excluded.parquet"):
        assert (tmp_path / "one" / "set" / name).read_bytes() == (tmp_path / "other" / "set" / name).read_bytes()


@pytest.mark.toolchain
def test_what_is_taken_for_proved_is_run_again(tmp_path):
    """The verdicts say that all is equivalent; one function differs on one input, another between two runs."""
    wrong = CODE["gcd"]["typescript"].replace("Math.abs(a)", "a === 25 ? 24 : Math.abs(a)")
    flaky = "function squares(n) { return Math.random() < 2 ? n + Math.random() * 1e-12 : n; }\n"
    lines = [
        line("gcd", "javascript"),
        line("gcd", "typescript", right=wrong),
        line("squares", "javascript", right=flaky),
    ]
    counts, folder = made(tmp_path, lines)
    assert {direction(row) for row in rows_of(folder)} == {("python", "javascript"), ("javascript", "python")}
    reasons = {(*direction(row),): row["reason"] for row in excluded_of(folder) if "typescript" in str(row)}
    assert set(reasons) == {way for way in DIRECTIONS if "typescript" in way}
    assert all(reason.startswith("different: result") for reason in reasons.values())
    assert counts["excluded"] == {"different": 4, "nondeterministic": 2}


@pytest.mark.toolchain
def test_what_no_pair_proves_is_no_case(tmp_path):
    """The pivot raises on 0, where the others differ; and gives what 32 bits cannot hold, where one wraps round."""
    python = "def cube(n: int) -> int:\n    if n == 0:\n        raise ValueError('none')\n    return n * n * n + 5\n"
    typescript = "function cube(n: number): number { return n === 0 ? 1 : n * n * n + 5; }\n"
    java = "class Cube { static int cube(int n) { return n == 0 ? 2 : n * n * n + 5; } }\n"
    lines = [
        {
            "pair_id": f"cube/{language}",
            "left": {"language": "python", "code": python, "entry": "cube"},
            "right": {"language": language, "code": code, "entry": "cube"},
        }
        for language, code in (("typescript", typescript), ("java", java))
    ]
    inputs = [values.encode([n]) for n in (*range(12), 2000, 30000)]
    verdicts = [
        {"pair_id": row["pair_id"], "verdict": "equivalent", "evidence": {"families": [{"inputs": inputs}]}}
        for row in lines
    ]
    path = write_lines(tmp_path / "pairs.jsonl", lines)
    evaluation([path], tmp_path / "set", verdicts=[write_lines(tmp_path / "verdicts.jsonl", verdicts)])
    rows = {direction(row): {case["arguments"] for case in row["cases"]} for row in rows_of(tmp_path / "set")}
    without = {inputs[0], *inputs[-2:]}
    assert set(rows) == set(permutations(("python", "typescript", "java"), 2))
    assert rows["typescript", "java"] == rows["java", "typescript"] == set(inputs) - without
    assert rows["python", "java"] == set(inputs) - without
    assert rows["python", "typescript"] == set(inputs) - {inputs[0]}


@pytest.mark.toolchain
def test_lines_without_verdicts_are_judged(tmp_path):
    lines = [LINES[0], line("squares", "javascript", right="function squares(n) { return n + 3; }")]
    evaluation([write_lines(tmp_path / "pairs.jsonl", lines)], tmp_path / "set")
    rows = rows_of(tmp_path / "set")
    assert {row["source_entry"] for row in rows} == {"gcd"}
    assert all(8 <= len(row["cases"]) <= 48 for row in rows)


@pytest.mark.toolchain
def test_a_direction_has_no_more_than_asked_for(tmp_path):
    counts, folder = made(tmp_path, LINES, settings=EvaluationSettings(per_direction=1))
    assert {one["instances"] for one in counts["directions"] if one["groups"]} == {1}
    assert counts["excluded"] == {"surplus": 6}
    # The directions ask for the same functions, so that they can be compared.
    assert len({row["group"] for row in rows_of(folder)}) == 1


RENAMED = "// the divisor\nfunction divisor(a, b) {\n  while (b) { [a, b] = [b, a % b]; }\n  return Math.abs(a); }"


@pytest.mark.toolchain
@pytest.mark.parametrize("where", ["same artifact", "other artifact"])
def test_nothing_that_a_training_pair_holds_is_in_the_set(tmp_path, where):
    """The training pair's function has another name, comments and blanks, and another pivot function."""
    trained = line("gcd", "javascript", left="def divisor(a, b):\n    return a\n", right=RENAMED)
    trained["left"]["entry"] = trained["right"]["entry"] = "divisor"
    training = write_artifact(tmp_path / "training", [trained], "train")
    if where == "other artifact":
        held = write_artifact(tmp_path / "held", LINES, "validation")
        counts = evaluation([held], tmp_path / "set", against=[training])
    else:
        held = write_artifact(tmp_path / "held", LINES, "validation")
        counts = evaluation([held, training], tmp_path / "set")
    assert {row["source_entry"] for row in rows_of(tmp_path / "set")} == {"squares"}
    assert counts["excluded"] == {"training": 1}


@pytest.mark.toolchain
def test_a_function_known_by_repository_and_name_is_in_training_too(tmp_path):
    changed = line("squares", "javascript", right="function squares(n) { return n; }")
    training = write_artifact(tmp_path / "training", [changed], "train")
    counts = evaluation([write_artifact(tmp_path / "held", LINES, "validation"), training], tmp_path / "set")
    assert {row["source_entry"] for row in rows_of(tmp_path / "set")} == {"gcd"}
    assert counts["excluded"] == {"training": 1}


@pytest.mark.toolchain
def test_documents_have_to_be_held_out_of_the_corpus(tmp_path):
    with creating(tmp_path / "corpus", "corpus", {"c": 1}) as draft:
        for language in ("python", "javascript", "typescript"):
            for name in CODE:
                split = "train" if (language, name) == ("typescript", "gcd") else "validation"
                place = draft.path / "documents" / f"language={language}" / f"split={split}"
                place.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist([{"id": f"{language}/{name}"}]), place / f"{name}.parquet")
    corpus = read_manifest(tmp_path / "corpus")["fingerprint"]
    held = write_artifact(tmp_path / "held", LINES, "validation", corpus=corpus)
    counts = evaluation([held], tmp_path / "set", corpus=tmp_path / "corpus")
    assert {row["source_entry"] for row in rows_of(tmp_path / "set")} == {"squares"}
    assert counts["excluded"] == {"split": 1}
    other = write_artifact(tmp_path / "other", LINES, "validation", corpus="another")
    with pytest.raises(BadInput, match="is not the corpus that the pairs were mined from"):
        evaluation([other], tmp_path / "set", corpus=tmp_path / "corpus")


def test_all_mistakes_are_told_at_once(tmp_path):
    lines = write_lines(tmp_path / "pairs.jsonl", [LINES[0], {"pair_id": "x"}])
    strange = {"pair_id": "x", "verdict": "equivalent", "evidence": {"families": [{"inputs": ["i1;"]}]}}
    (tmp_path / "verdicts.jsonl").write_text('{"pair_id": "x"}\nno\n' + json.dumps(strange))
    bare = write_artifact(tmp_path / "bare", LINES[:1], "validation", evidence="{}")
    options = ["--verdicts", str(tmp_path / "verdicts.jsonl"), "--against", str(tmp_path), "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(command, [str(tmp_path / "none.jsonl"), str(lines), str(bare), *options])
    assert isinstance(result.exception, BadInput)
    told = "\n".join(map(str, result.exception.mistakes))
    for part in (
        f"{tmp_path / 'none.jsonl'}: no such file",
        f"{lines}:2: left: missing",
        "pair gcd/javascript: has no inputs as evidence",
        f"{tmp_path / 'verdicts.jsonl'}:2: no verdict",
        f"{tmp_path / 'verdicts.jsonl'}:3: no verdict",
        f"{tmp_path}: no finished pairs here",
    ):
        assert part in told
    assert not (tmp_path / "o").exists()


def test_a_set_needs_held_out_pairs_and_a_pivot(tmp_path):
    trained = write_artifact(tmp_path / "trained", LINES, "train")
    with pytest.raises(BadInput, match="no proved pair is held out"):
        evaluation([trained], tmp_path / "set")
    turned = {"pair_id": "turned", "left": LINES[0]["right"], "right": LINES[0]["left"]}
    mixed = write_lines(tmp_path / "mixed.jsonl", [LINES[0], turned])
    with pytest.raises(BadInput, match="javascript, python on their left"):
        evaluation([mixed], tmp_path / "set")
    with pytest.raises(BadInput, match="'cobol' is not in the registry"):
        evaluation([mixed], tmp_path / "set", EvaluationSettings(pivot="cobol"))
    strange = write_verdicts(tmp_path / "verdicts.jsonl", LINES)
    with pytest.raises(BadInput, match="3 of them are of pairs that no file has"):
        evaluation([write_lines(tmp_path / "one.jsonl", LINES[:1])], tmp_path / "set", verdicts=[strange])


@pytest.mark.toolchain
def test_the_command_prints_a_row_a_direction(tmp_path):
    lines, verdicts = write_lines(tmp_path / "p.jsonl", LINES[:2]), write_verdicts(tmp_path / "v.jsonl", LINES[:2])
    result = CliRunner().invoke(command, [str(lines), "--verdicts", str(verdicts), "--out", str(tmp_path / "set")])
    assert result.exit_code == 0
    rows = [json.loads(row) for row in result.stdout.splitlines()]
    assert {(row["source"], row["target"]) for row in rows if row["instances"]} == DIRECTIONS
    assert [row["seen"] for row in rows] == sorted((row["seen"] for row in rows), reverse=True)
