"""Scoring: with a random Llama, and with stand-ins that answer right and wrong; killed; and a task of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from parallel_mining import sandbox, values
from parallel_mining.evaluation import INSTANCE_SCHEMA
from pipelines.cli import main
from quality.artifacts import read_manifest
from quality.mistakes import BadInput
from training.generation import Completion, Decoding, load_generator
from training.score import read_scores, score
from training.score_tasks import TASKS
from training.score_tasks.problems import Attempt, Judged, Judgement, Metric, Problem, Problems

pytestmark = pytest.mark.torch
needs_sandbox = pytest.mark.skipif(bool(sandbox.ready()), reason="no sandbox here")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights and a token a byte."""
    folder = tmp_path_factory.mktemp("model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["<|endoftext|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def greedily(model_dir: Path, prompt: str, tokens: int) -> list[int]:
    """What comes behind a prompt by the plainest loop, without a cache."""
    model: Any = LlamaForCausalLM.from_pretrained(model_dir)
    ids = Tokenizer.from_file(str(model_dir / "tokenizer.json")).encode(prompt).ids
    for _ in range(tokens):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == 0:
            break
    return ids


PROMPTS = ["def f(x):\n", "x", "function twice(n) {\n    return"]


def test_batches_with_a_cache_write_what_the_plainest_loop_writes(model_dir: Path) -> None:
    model = load_generator(model_dir, "cpu")
    decoding = Decoding(max_tokens=12)
    found = model.complete(PROMPTS, [()] * 3, decoding, 0)
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    for prompt, one in zip(PROMPTS, found, strict=True):
        expected = greedily(model_dir, prompt, 12)[one.prompt_tokens :]
        ended = expected[-1] == 0
        assert one.text == tokenizer.decode(expected[: -1 if ended else None], skip_special_tokens=False)
        assert one.ended == ("end" if ended else "length")


def test_what_stops_a_completion_is_cut_off(model_dir: Path) -> None:
    model = load_generator(model_dir, "cpu")
    [whole] = model.complete(["x"], [()], Decoding(max_tokens=40), 0)
    stop = whole.text[5:8]
    other, cut = model.complete(["def f(x):\n", "x"], [(), ("never there", stop)], Decoding(max_tokens=40), 0)
    assert cut.text == whole.text[: whole.text.find(stop)]
    assert cut.ended == "stop"
    assert other.ended != "stop"
    [alone] = model.complete(["x"], [(stop,)], Decoding(max_tokens=40), 0)
    assert alone.tokens < 40  # it did not write on


def test_samples_depend_on_the_seed_alone(model_dir: Path) -> None:
    model = load_generator(model_dir, "cpu")
    decoding = Decoding(samples=2, temperature=1.0, top_p=0.9, max_tokens=16)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = model.complete(["x", "x"], [(), ()], decoding, 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert first[0].text != first[1].text
    assert model.complete(["x", "x"], [(), ()], decoding, 3) == first
    assert model.complete(["x", "x"], [(), ()], decoding, 4) != first


def test_text_is_no_control_token_and_a_prompt_without_room_is_left(model_dir: Path) -> None:
    model = load_generator(model_dir, "cpu")
    spelt, long, empty = model.complete(["<|endoftext|>", "x" * 128, ""], [()] * 3, Decoding(max_tokens=4), 0)
    assert spelt.prompt_tokens == 13
    assert (long.ended, long.text, long.tokens) == ("prompt", "", 0)
    assert empty.ended == "prompt"
    [near] = model.complete(["x" * 126], [()], Decoding(max_tokens=50), 0)
    assert near.tokens <= 2


def test_no_model_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no config\.json here"):
        load_generator(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(BadInput, match="no causal language model with a tokenizer can be loaded"):
        load_generator(tmp_path)
    with pytest.raises(BadInput, match=r"--device: 'abacus' cannot be used here .*; leave it out, or name cpu"):
        load_generator(tmp_path, "abacus")


class Writer:
    """Answers by a function of the prompt, and counts how often it was asked."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.asked = 0

    def complete(
        self, prompts: Sequence[str], stops: Sequence[tuple[str, ...]], decoding: Decoding, seed: int
    ) -> list[Completion]:
        del stops, decoding, seed
        self.asked += len(prompts)
        return [Completion(self.answer(prompt), len(prompt), 1, "stop") for prompt in prompts]


def problems(folder: Path) -> Path:
    rows = [
        {
            "name": f"times_{n}",
            "language": language,
            "prompt": prompt.format(n=n),
            "tests": tests.format(n=n, twice=2 * n),
            "stop_tokens": ["\n\n"],
        }
        for n in (2, 3)
        for language, prompt, tests in (
            ("py", "def times_{n}(x):\n", "assert times_{n}(2) == {twice}\n"),
            (
                "js",
                "function times_{n}(x){{\n",
                "const assert = require('node:assert');\nassert.equal(times_{n}(2), {twice});",
            ),
        )
    ]
    file = folder / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def right(prompt: str) -> str:
    n = prompt.split("times_")[1][0]
    return f"    return {n} * x" if prompt.startswith("def") else f"  return {n} * x;\n}}"


@needs_sandbox
@pytest.mark.toolchain
def test_one_who_answers_right_passes_all_and_one_who_answers_wrong_none(tmp_path: Path) -> None:
    file = problems(tmp_path)
    done = score("right", "multipl-e", [file], tmp_path / "right", generator=Writer(right))
    rows = read_scores(done)
    assert [(row["metric"], row["language"], row["value"], row["problems"]) for row in rows] == [
        ("pass@1", "javascript", 1.0, 2),
        ("pass@1", "python", 1.0, 2),
        ("pass@1", "", 1.0, 4),
    ]
    assert rows[-1]["groups"] == 2
    wrong = Writer(lambda prompt: right(prompt).replace("* x", "+ x"))
    # 2 + 2 is 2 * 2: the problem of 2 passes all the same.
    done = score("wrong", "multipl-e", [file], tmp_path / "wrong", generator=wrong)
    assert [row["value"] for row in read_scores(done)] == [0.5, 0.5, 0.5]
    attempts = pq.read_table(done / "attempts.parquet").to_pylist()
    failed = [row for row in attempts if not row["passed"]]
    assert {row["problem_id"] for row in failed} == {"python/times_3", "javascript/times_3"}
    assert all(row["reason"].startswith("failed: ") for row in failed)
    counts = read_manifest(done, "scores")["counts"]
    assert (counts["problems"], counts["attempts"], counts["passed"]) == (4, 4, 2)


def instance(number: int, source: str, target: str, seen: bool, code: str) -> dict[str, Any]:
    cases = [
        {"arguments": values.encode([x]), "status": "value", "expected": values.encode(3 * x)} for x in (0, 1, -4, 9)
    ]
    texts = dict.fromkeys(INSTANCE_SCHEMA.names, "")
    lists: dict[str, list[str]] = {"pairs": [], "source_licenses": [], "target_licenses": []}
    return {
        **texts,
        **lists,
        "instance_id": f"{source}-{target}-{number}",
        "group": f"g{number}",
        "source_language": source,
        "target_language": target,
        "seen": seen,
        "source_entry": "thrice",
        "target_entry": "thrice",
        "target_code": code,
        "prompt": f"{source} {target} {number}",
        "cases": cases,
        "tolerance": "exact",
        "compared": 4,
        "agreed": 4,
    }


@needs_sandbox
@pytest.mark.toolchain
def test_translations_are_scored_by_direction_seen_and_unseen_apart(tmp_path: Path) -> None:
    python, javascript = "def thrice(x):\n    return 3 * x\n", "function thrice(x) {\n    return 3 * x;\n}\n"
    rows = [
        instance(0, "python", "javascript", True, javascript),
        instance(1, "python", "javascript", True, javascript),
        instance(0, "javascript", "python", True, python),
        instance(0, "go", "python", False, python),
    ]
    pq.write_table(pa.Table.from_pylist(rows, INSTANCE_SCHEMA), tmp_path / "instances.parquet")

    def answer(prompt: str) -> str:
        if prompt == "python javascript 1":
            return "function thrice(x) { return x; }"
        return javascript if prompt.split()[1] == "javascript" else python

    done = score("m", "translation", [tmp_path], tmp_path / "scores", generator=Writer(answer))
    found = {(row["metric"], row["source_language"], row["language"], row["seen"]): row for row in read_scores(done)}
    accuracy = {key[1:]: row["value"] for key, row in found.items() if key[0] == "execution_accuracy"}
    assert accuracy == {
        ("javascript", "python", True): 1.0,
        ("python", "javascript", True): 0.5,
        ("go", "python", False): 1.0,
        ("", "", True): 0.75,
        ("", "", False): 1.0,
    }
    bleu = {key[1:]: row for key, row in found.items() if key[0] == "bleu"}
    assert bleu["go", "python", False]["value"] == pytest.approx(100.0)
    assert 0 < bleu["python", "javascript", True]["value"] < 100
    assert "tok:13a" in bleu["go", "python", False]["details"]
    attempts = {row["problem_id"]: row for row in pq.read_table(done / "attempts.parquet").to_pylist()}
    assert attempts["python-javascript-1"]["reason"].startswith("result: ")
    assert (attempts["python-javascript-1"]["cases"], attempts["python-javascript-1"]["agreed"]) == (4, 1)


@pytest.fixture
def repair(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A task of one's own: mend a program; here a mended one is known by sight."""
    module = ModuleType("repair_task")

    def read(paths: Sequence[Path]) -> Problems:
        lines = [line for path in paths for line in path.read_text().splitlines()]
        return Problems(tuple(Problem(f"{n}", line, "python", data={"n": n}) for n, line in enumerate(lines)), {"x": 2})

    def judge(attempts: Sequence[Attempt], progress: Callable[[int], object] | None = None) -> list[Judgement]:
        if progress:
            progress(len(attempts))
        return [
            Judgement(attempt.completion == "mended", "" if attempt.completion == "mended" else "bug: left")
            for attempt in attempts
        ]

    def metrics(judged: Sequence[Judged], ks: Sequence[int]) -> list[Metric]:
        del ks
        return [Metric("mended", sum(one.judgement.passed for one in judged) / len(judged))]

    for function in (read, judge, metrics):
        setattr(module, function.__name__, function)
    monkeypatch.setitem(TASKS, "repair", lambda: module)
    return module


@pytest.mark.usefixtures("repair")
def test_a_task_is_added_by_a_row_and_killed_scoring_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.txt"
    file.write_text("".join(f"broken {n}\n" for n in range(10)))
    decoding = Decoding(batch=2)
    writer = Writer(lambda prompt: "mended" if prompt.endswith(("1", "3")) else "broken")
    whole = score("m", "repair", [file], tmp_path / "whole", decoding=decoding, generator=writer)
    assert [(row["metric"], row["value"]) for row in read_scores(whole)] == [("mended", 0.2), ("mended", 0.2)]
    assert "2 problems are left out: x" in capsys.readouterr().err

    class Killed(Writer):
        def complete(self, prompts: Sequence[str], *rest: Any) -> list[Completion]:
            if self.asked >= 6:
                raise KeyboardInterrupt
            return super().complete(prompts, *rest)

    with pytest.raises(KeyboardInterrupt):
        score("m", "repair", [file], tmp_path / "again", decoding=decoding, generator=Killed(writer.answer))
    assert not (tmp_path / "again").exists()
    resumed = Writer(writer.answer)
    again = score("m", "repair", [file], tmp_path / "again", decoding=decoding, generator=resumed)
    assert resumed.asked == 4
    for name in ("attempts.parquet", "scores.parquet"):
        assert pq.read_table(again / name).equals(pq.read_table(whole / name))
    assert {path.name for path in again.iterdir()} == {path.name for path in whole.iterdir()}
    score("m", "repair", [file], tmp_path / "again", decoding=decoding, generator=resumed)
    assert resumed.asked == 4
    assert "scored already" in capsys.readouterr().err


@pytest.mark.usefixtures("repair")
def test_the_command_scores_a_model_and_refuses_what_makes_no_sense(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["score", str(model_dir), "--task", "repair", "--problems", str(tmp_path / "p.txt"), *arguments])
        return int(ended.value.code or 0)

    (tmp_path / "p.txt").write_text("a\nb\nc\n")
    out = str(tmp_path / "out")
    common = ("--out", out, "--max-tokens", "3", "--device", "cpu")
    assert run(*common, "--limit", "2", "--samples", "2", "--temperature", "0.8", "--k", "2") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["value"], row["problems"], row["samples"]) for row in rows] == [(0.0, 2, 2)] * 2
    assert pq.read_table(Path(out) / "attempts.parquet")["sample"].to_pylist() == [0, 1, 0, 1]
    assert run(*common, "--samples", "2", "--k", "3") == 2
    err = capsys.readouterr().err
    assert "pass@3 needs 3 samples of each problem, not 2" in err
    assert "0 makes all samples of a problem the same" in err
