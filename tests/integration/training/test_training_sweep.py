"""A sweep: what it leaves, that neither a kill nor the number of workers changes it, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Failure, Stale
from training.capacity import Hardware
from training.layout import Layout
from training.plan import plan_sweep
from training.pricing import gpu_price, price
from training.records import RECORDS, TABLES
from training.settings import SweepSettings
from training.slurm import SlurmSettings, array_script
from training.sweep import announcement, sweep
from training.trunks import read_tasks, trunk_tasks, write_tasks

pytestmark = pytest.mark.torch

SETTINGS: dict[str, Any] = {
    "sizes": ["25k", "60k"],
    "tokens": [2560, "5120"],
    "languages": ["python", "go"],
    "mixtures": {"both": {"python": 0.5, "go": 0.5}},
    "sequence_length": 32,
    "batch_tokens": 256,
    "validation_tokens": 512,
    "validate_on": "trained",
}


def settings(**changes: Any) -> SweepSettings:
    return SweepSettings.model_validate_json(json.dumps({**SETTINGS, **changes}))


def content(folder: Path) -> dict[str, list[dict[str, Any]]]:
    tables = {name: pq.read_table(folder / name).to_pylist() for name in TABLES}
    for row in tables["runs.parquet"]:
        for name in ("seconds", "step_seconds", "loader_seconds"):
            del row[name]
    return tables


@pytest.fixture(scope="module")
def swept(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "runs"
    assert sweep(settings(), tokens_dir, out, workers=1, command="polymix sweep x") == out
    return out


def test_a_sweep_leaves_a_row_a_run_with_all_that_a_fit_needs(swept: Path) -> None:
    runs = pq.read_table(swept / "runs.parquet").to_pylist()
    assert [(row["trained_on"], row["size"], row["tokens"]) for row in runs] == [
        (trained_on, size, tokens)
        for trained_on in ("python", "go", "mixture")
        for size in ("25k", "60k")
        for tokens in (2560, 5120)
    ]
    assert {row["status"] for row in runs} == {"finished"}
    assert runs[0]["params_non_embedding"] == 25_248
    assert runs[0]["params_total"] == 25_248 + 2 * 64 * 32
    assert runs[1]["repeats"] == [("python", pytest.approx(5120 / 12_000, rel=0.01))]
    evaluations = pq.read_table(swept / "evaluations.parquet").to_pylist()
    assert len(evaluations) == 8 + 4 * 2
    assert {row["tokens"] for row in evaluations} == {2560, 5120}
    assert read_manifest(swept, "runs")["counts"]["finished"] == 12
    assert pq.read_table(swept / "contract.parquet")["success"].to_pylist() == [True] * 4


CODE = (
    "import sys; from training.settings import SweepSettings; from training.sweep import sweep;"
    "sweep(SweepSettings.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3], workers=int(sys.argv[4]),"
    " command='polymix sweep x')"
)


def kill_when(out: Path, tokens_dir: Path, workers: int, records: int) -> set[str]:
    """Start a sweep in a process of its own, kill it when it has left so many records, and return their names."""
    folder = out.parent / f".{out.name}.draft" / RECORDS
    arguments = [sys.executable, "-c", CODE, settings().model_dump_json(), str(tokens_dir), str(out), str(workers)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while process.poll() is None and len(list(folder.glob("*.json"))) < records:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    return {path.name for path in folder.glob("*.json")}


def test_a_sweep_killed_twice_keeps_its_finished_runs_and_ends_the_same(
    swept: Path, tokens_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    first = kill_when(out, tokens_dir, workers=1, records=3)
    assert 3 <= len(first) < 9
    second = kill_when(out, tokens_dir, workers=2, records=len(first) + 2)
    assert first < second
    assert len(second) < 12
    assert not out.exists()
    records = tmp_path / ".runs.draft" / RECORDS
    kept = {name: (records / name).stat().st_mtime_ns for name in second}
    assert sweep(settings(), tokens_dir, out, workers=2, command="polymix sweep x") == out
    assert pq.read_table(out / "runs.parquet").num_rows == 12
    assert content(out) == content(swept)
    after = {path.name: path.stat().st_mtime_ns for path in (out / RECORDS).glob("*.json")}
    assert {name: after[name] for name in kept} == kept
    assert read_manifest(out)["fingerprint"] == read_manifest(swept)["fingerprint"]


def test_a_finished_sweep_is_left_as_it_is(swept: Path, tokens_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (swept / "manifest.json").stat().st_mtime_ns
    sweep(settings(), tokens_dir, swept)
    assert (swept / "manifest.json").stat().st_mtime_ns == before
    assert "finished already" in capsys.readouterr().err


def test_finished_runs_are_not_lost_to_another_sweep(swept: Path, tokens_dir: Path) -> None:
    before = (swept / "manifest.json").read_bytes()
    with pytest.raises(Stale, match=r"settings\.validation_tokens: made with 512, asked for is 256") as caught:
        sweep(settings(validation_tokens=256), tokens_dir, swept)
    assert "--replace" in str(caught.value)
    assert (swept / "manifest.json").read_bytes() == before


def test_trunks_cost_less_than_runs_alone(tokens_dir: Path) -> None:
    plan = plan_sweep(settings(), tokens_dir)
    cost = price(plan, workers=1)
    assert cost.tokens_alone == 6 * (2560 + 5120)
    assert cost.tokens == 6 * (2 * 256 + 5120)
    assert cost.flops < sum(run.flops for run in plan.runs)
    assert cost.measured == ("25k", "60k")
    assert 0 < cost.minutes < 30
    assert all(seconds > 0 for seconds in cost.seconds_per_token.values())


def test_run_ids_name_everything_a_run_depends_on(tokens_dir: Path) -> None:
    first = plan_sweep(settings(), tokens_dir)
    ids = [run.run_id for run in first.runs]
    assert len(set(ids)) == 12
    assert [run.run_id for run in plan_sweep(settings(), tokens_dir).runs] == ids
    for changed in ({"seed": 5}, {"validation_tokens": 544}, {"learning_rate": 0.001}, {"batch_tokens": 128}):
        assert not set(ids) & {run.run_id for run in plan_sweep(settings(**changed), tokens_dir).runs}


def test_what_the_stores_cannot_supply_is_refused_before_anything_is_trained(tokens_dir: Path, tmp_path: Path) -> None:
    wanted = settings(
        tokens=["1M"], languages=["python", "java"], mixtures={"r": {"rust": 0.1, "text:docs": 0.9}}, max_epochs=2.0
    )
    with pytest.raises(BadInput) as caught:
        sweep(wanted, tokens_dir, tmp_path / "runs")
    said = str(caught.value)
    assert "java: java: no training store" in said
    assert "text:docs" in said
    with pytest.raises(BadInput, match=r"999936 tokens wanted, at most 2\d+ available; lower tokens, or raise max"):
        sweep(settings(tokens=["1M"], mixtures={}, max_epochs=2.0), tokens_dir, tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_pairs_are_trained_on_together_and_parted(paired: tuple[Path, Path], tmp_path: Path) -> None:
    wanted = settings(
        sizes=["25k"],
        tokens=[2560],
        each_language=False,
        mixtures={"pairs": {"pair:python-go": 1.0}, "go": {"go": 1.0}, "again": {"go": 1.0, "rust": 0.0}},
        pairing=["parallel", "shuffled"],
    )
    with pytest.raises(BadInput, match="pairing: shuffled pairs need token stores whose halves were parted"):
        plan_sweep(wanted, paired[0])
    sweep(wanted, paired[0], tmp_path / "runs", shuffled_dir=paired[1], workers=1)
    runs = pq.read_table(tmp_path / "runs" / "runs.parquet").to_pylist()
    assert [(row["mixture"], row["pairing"]) for row in runs] == [
        ("pairs", "parallel"),
        ("pairs", "shuffled"),
        ("go", None),
    ]
    assert runs[0]["final_train_loss_nats"] != runs[1]["final_train_loss_nats"]
    held_out = [
        {
            (row["language"], row["evaluated_bytes"])
            for row in content(tmp_path / "runs")["evaluations.parquet"]
            if row["run_id"] == run["run_id"]
        }
        for run in runs
    ]
    assert held_out[0] == held_out[1]
    assert {language for language, _ in held_out[0]} == {"python", "go"}


def test_what_is_compared_has_the_same_code(paired: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(paired[1], other)
    described = other / "pair_python-go" / "train" / "store.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "code_tokens": 7}))
    wanted = settings(mixtures={"pairs": {"pair:python-go": 1.0}}, pairing=["shuffled"])
    with pytest.raises(BadInput, match="7 tokens of code there, None in --tokens-dir; pack the same pairs"):
        plan_sweep(wanted, paired[0], other)


def test_rates_are_tried_at_their_multiples(tokens_dir: Path) -> None:
    runs = plan_sweep(settings(**ONE, rate_factors=[0.5, 2.0], tokens=[2560]), tokens_dir).runs
    assert runs[1].spec.learning_rate == pytest.approx(4 * runs[0].spec.learning_rate)


ONE: dict[str, Any] = {"sizes": ["25k"], "languages": ["go"], "mixtures": {}}


def test_what_fails_is_tried_again_and_costs_no_other_run(
    tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import trunks

    tried: list[str] = []

    def failing(task: trunks.TrunkTask, note: Any) -> None:
        tried.append(task.trunk.runs[0].mixture)
        if task.trunk.runs[0].mixture == "go" and tried.count("go") < 5:
            raise MemoryError("no more")
        trunks.train_trunk(task, note)

    monkeypatch.setattr("training.sweep.train_trunk", failing)
    wanted = settings(**{**ONE, "languages": ["python", "go"], "tokens": [2560]})
    with pytest.raises(Failure, match=r"1 of 2 trunks failed 3 times; .* 25k on go failed \(MemoryError: no more\)"):
        sweep(wanted, tokens_dir, tmp_path / "runs", workers=1)
    assert tried == ["python", "go", "go", "go"]
    assert "25k on go failed (MemoryError: no more); it is tried again" in capsys.readouterr().err
    sweep(wanted, tokens_dir, tmp_path / "runs", workers=1)
    assert tried == ["python", "go", "go", "go", "go", "go"]
    assert pq.read_table(tmp_path / "runs" / "runs.parquet")["mixture"].to_pylist() == ["python", "go"]


def test_a_trunk_may_be_spread_over_processes(
    swept: Path, tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, temporary = tmp_path / "runs", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    sweep(settings(**ONE), tokens_dir, out, layout=Layout(2), checkpoint_every=8)
    spread = content(out)["runs.parquet"]
    assert [row["world_size"] for row in spread] == [2, 2]
    alone = {
        row["tokens"]: row for row in content(swept)["runs.parquet"] if (row["mixture"], row["size"]) == ("go", "25k")
    }
    for row in spread:
        assert row["final_train_loss_nats"] == pytest.approx(alone[row["tokens"]]["final_train_loss_nats"], abs=1e-5)
    assert [path.name for path in out.iterdir() if path.name.startswith(("torch", "checkpoint"))] == ["torchtitan.log"]
    # A cache of torch's own, which later processes look for there.
    assert {path.name.partition("_")[0] for path in temporary.iterdir()} <= {"torchinductor"}


def test_a_long_trunk_goes_on_from_its_checkpoint_if_that_is_whole(
    tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import trunks

    plain, killed = tmp_path / "plain", tmp_path / "killed"
    wanted = settings(**ONE, tokens=[19_200, 25_600])
    sweep(wanted, tokens_dir, plain, workers=1)
    write, train, steps, tries = trunks.write_record, trunks.train_trunk, 0, 0

    def dying(folder: Path, record: Any) -> None:
        write(folder, record)
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            raise MemoryError("no more")

    def counting(task: trunks.TrunkTask, note: Any) -> None:
        nonlocal tries

        def count(value: Any) -> None:
            nonlocal steps
            steps += isinstance(value, int)
            note(value)

        tries += 1
        if tries == 2:
            (file,) = Path(task.folder).glob("checkpoints/*/step-50/*.distcp")
            written = file.read_bytes()
            file.write_bytes(written[:-1] + b"!")
            try:
                train(task, count)
            finally:
                file.write_bytes(written)
        train(task, count)

    monkeypatch.setattr("training.trunks.write_record", dying)
    monkeypatch.setattr("training.sweep.train_trunk", counting)
    sweep(wanted, tokens_dir, killed, workers=1, checkpoint_every=4)
    assert content(plain) == content(killed)
    assert "step-50/__0_0.distcp: damaged after it was written" in capsys.readouterr().err
    # 60 steps of trunk and 15 of the first branch, then on from the checkpoint of step 50 to step 100: checkpoints are
    # as far apart as the states that a run with a spike goes back to.
    assert steps == 75 + 50


def test_gpus_are_counted_before_they_are_asked_for(tokens_dir: Path) -> None:
    plan = plan_sweep(settings(), tokens_dir)
    cost = gpu_price(plan, Hardware(2, memory_gib=1.0))
    assert [(row.size, row.runs, row.layout) for row in cost.sizes] == [("25k", 6, Layout()), ("60k", 6, Layout())]
    assert [row.tokens for row in cost.sizes] == [3 * (2 * 256 + 5120)] * 2
    assert cost.gpu_hours < cost.gpu_hours_alone
    assert cost.hours >= cost.gpu_hours / 2
    assert cost.gpu_hours == pytest.approx(sum(row.flops for row in cost.sizes) / (989e12 * 0.4) / 3600)
    said = announcement(plan, cost)
    assert "12 runs, 33,792 tokens (46,080 without shared trunks)" in said
    assert "at an assumed 40% of 9.89e+14 FLOP/s" in said
    with pytest.raises(BadInput, match=r"gpus: 25k: needs .*\n.*gpus: 60k: needs"):
        gpu_price(plan, Hardware(4, memory_gib=0.001))
    with pytest.raises(BadInput, match="--mfu: 40 is not a part of the peak"):
        gpu_price(plan, Hardware(4, mfu=40))


SBATCH = """#!/bin/bash
# Stands in for sbatch --parsable: runs the tasks of a job array one after another, in the background.
here=$(dirname "$0")/state
mkdir -p "$here"
id=$(($(ls "$here" | grep -c queued) + 41))
script=$here/$id
cp "${@: -1}" "$script"
touch "$script.queued"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
output=$(sed -n 's/^#SBATCH --output=//p' "$script")
(
    for task in $(seq 0 "${last:-0}"); do
        log=${output/\\%A/$id}
        SLURM_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task SLURM_JOB_NODELIST=localhost \\
            bash "$script" >> "${log/\\%a/$task}" 2>&1
    done
    touch "$script.ended"
) > /dev/null 2>&1 &
echo "$id;cluster"
"""
SQUEUE = """#!/bin/bash
# Stands in for squeue --noheader --jobs ID.
[ -e "$(dirname "$0")/state/$3.ended" ] || echo "$3 node polymix R"
"""
SRUN = """#!/bin/bash
# Stands in for srun --kill-on-bad-exit=1 COMMAND: the first task of all is killed once.
shift
here=$(dirname "$0")/state
if [ ! -e "$here/killed" ]; then touch "$here/killed"; exit 137; fi
exec "$@"
"""
SCONTROL = '#!/bin/bash\n# Stands in for scontrol show hostnames LIST.\necho "$3"\n'


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "srun": SRUN, "scontrol": SCONTROL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_slurm_array_leaves_what_one_process_leaves(
    swept: Path, tokens_dir: Path, tmp_path: Path, cluster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    wanted = settings(**ONE)
    assert sweep(wanted, tokens_dir, out, slurm=SlurmSettings("long", options={"account": "mine"})) is None
    script = tmp_path / "runs.slurm" / "array-1x1.sbatch"
    assert f"submit it with `sbatch {script}`" in capsys.readouterr().err
    for line in ("array=0-0", "partition=long", "account=mine", "nodes=1", "requeue", "cpus-per-task=1"):
        assert f"#SBATCH --{line}\n" in script.read_text()
    assert not out.exists()
    sweep(wanted, tokens_dir, out, slurm=SlurmSettings("long", submit=True, poll_seconds=0.2))
    assert (cluster / "state" / "killed").exists()
    ignored = ("command", "stores", "run_id")  # this sweep reads the stores of one language alone
    found, expected = (
        [{k: v for k, v in row.items() if k not in ignored} for row in content(folder)["runs.parquet"]]
        for folder in (out, swept)
    )
    assert found == [row for row in expected if (row["mixture"], row["size"]) == ("go", "25k")]


def test_a_script_asks_for_nodes_and_gpus(tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(16, 2)
    [task, *_] = trunk_tasks(plan_sweep(settings(), tokens_dir), tmp_path, {"25k": layout, "60k": layout}, threads=3)
    script = array_script([task], layout, tmp_path / "t.json", SlurmSettings("gpu", at_once=2), Hardware(64))
    for line in ("array=0-0%2", "nodes=2", "gpus-per-node=8", "cpus-per-task=24", "ntasks-per-node=1"):
        assert f"#SBATCH --{line}\n" in script
    assert "-m torch.distributed.run --nnodes=2 --nproc-per-node=8" in script
    write_tasks(tmp_path / "t.json", [task])
    assert read_tasks(tmp_path / "t.json") == [task]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="sbatch, squeue not found"):
        sweep(settings(), tokens_dir, tmp_path / "runs", hardware=Hardware(1), slurm=SlurmSettings("gpu", submit=True))


def run_cli(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_command_prints_the_plan_and_its_price(
    tokens_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["25k"]\ntokens = ["5k"]\nsequence_length = 32\nbatch_tokens = 256\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir), "--dry-run", "--workers", "1") == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["mixture"] for row in rows] == ["python", "go", "rust"]
    assert rows[0]["tokens"] == 5120
    assert "3 runs, 15,360 tokens" in err
    assert "minutes" in err


def test_the_command_lists_every_mistake(tokens_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["21M"]\ntokens = ["many"]\nlayers = 3\nlearning_rate = 2.0\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir), "--out", str(tmp_path / "runs")) == 2
    err = capsys.readouterr().err
    assert "sizes: '21M' is not a known size; known: 25k" in err
    assert "'many' is not a count" in err
    assert "layers: there is no such setting" in err
    assert "learning_rate" in err
    file.write_text('sizes = ["25k"]\ntokens = ["5k"]\nsequence_length = 32\nbatch_tokens = 256\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tmp_path / "none"), "--out", str(tmp_path / "runs")) == 2
    assert "no finished tokens here" in capsys.readouterr().err
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir)) == 2
    assert "--out: is missing" in capsys.readouterr().err
