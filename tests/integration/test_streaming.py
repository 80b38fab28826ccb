"""Files and documents under datatrove's executors: the same bytes here and on Slurm, and nothing done twice or lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from datatrove.pipeline.tokens.merger import get_data_reader, load_doc_ends
from datatrove.pipeline.tokens.tokenizer import DocumentTokenizer

from pipelines import streaming
from pipelines.corpus_settings import CorpusSettings
from pipelines.inspection import INSPECTED_SCHEMA, Inspection, inspect_batches
from pipelines.staging import RAW_SCHEMA
from pipelines.streaming import CorpusReader, EachPart, PolymixFilter, Slurm, TokenWriter, run_streaming
from pipelines.tokenizer import END_OF_TEXT, load_tokenizer, train_tokenizer
from quality.artifacts import creating
from quality.documents import document_id, git_blob_id
from quality.mistakes import BadInput, Failure

INSPECTION = Inspection(CorpusSettings(licenses=("permissive", "no_license")))
PARTS = 5
SPELT = f'END = "{END_OF_TEXT}"\n'


def program(number: int) -> str:
    return "".join(f"def value{number}_{n}(a, b):\n    return a * {n} + b - {number}\n\n" for n in range(20))


def raw(path: str, text: str, licenses: tuple[str, ...] = ()) -> dict[str, Any]:
    data = text.encode()
    blob_id = git_blob_id(data)
    own = {"id": document_id("r", path, blob_id), "blob_id": blob_id, "repo_name": "r", "revision_id": "1"}
    return own | {"path": path, "data": data, "licenses": list(licenses)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("raw")
    for number in range(PARTS):
        rows = [raw(f"a{number}.py", program(number)), raw(f"b{number}.py", "def def (((\n" * 9), raw("c.json", "{}")]
        pq.write_table(pa.Table.from_pylist(rows, RAW_SCHEMA), folder / f"raw-{number}.parquet")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus") / "corpus"
    with creating(out, "corpus", {}) as draft:
        for number in range(PARTS):
            folder = draft.path / "documents" / "language=python" / f"split={'train' if number else 'validation'}"
            folder.mkdir(parents=True, exist_ok=True)
            texts = {f"{number}{n}": SPELT + program(number * 10 + n) for n in range(3)}
            columns = {"id": list(texts), "text": list(texts.values()), "path": ["a.py"] * len(texts)}
            pq.write_table(pa.table(columns), folder / f"part-{number}.parquet")
    return out


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(train_tokenizer([program(number) for number in range(20)], 400))
    return path


def steps(parts: list[Path], corpus: Path, tokenizer: Path, out: Path) -> list[Any]:
    out.mkdir()
    return [
        EachPart(parts, out, partial(inspect_batches, inspection=INSPECTION), INSPECTED_SCHEMA),
        CorpusReader(corpus),
        TokenWriter(out, tokenizer),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def expected(
    parts: list[Path], corpus: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What the steps write in this process, without any executor."""
    out = tmp_path_factory.mktemp("alone") / "out"
    data = None
    for step in steps(parts, corpus, tokenizer, out):
        data = step(data)
    found = contents(out)
    assert len(found) == PARTS + 3 * PARTS  # a Parquet file each; tokens, index and metadata each
    return found


SBATCH = """#!/bin/bash
# Stands in for sbatch: runs the tasks of a job array one after another, in the background.
here=$(dirname "$0")/state
mkdir -p "$here"
id=$(($(ls "$here" | wc -l) + 1))
script=$here/$id
cp "${@: -1}" "$script"
echo "$@" > "$script.arguments"
touch "$script.queued"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
output=$(sed -n 's/^#SBATCH --output=//p' "$script")
(
    for task in $(seq 0 "${last:-0}"); do
        log=${output/\\%A/$id}
        SLURM_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task SLURM_NODELIST=here RUN_OFFSET=0 \\
            bash "$script" > "${log/\\%a/$task}" 2>&1
    done
    rm "$script.queued"
) > /dev/null 2>&1 &
echo "Submitted batch job $id"
"""
SQUEUE = """#!/bin/bash
# Stands in for squeue --noheader --jobs ID.
[ ! -e "$(dirname "$0")/state/$3.queued" ] || echo "$3 node polymix R"
"""
SRUN = '#!/bin/bash\n# Stands in for srun -l -n 1 COMMAND.\nshift 3\nexec "$@"\n'
SCONTROL = "#!/bin/bash\n# Stands in for scontrol show hostnames LIST.\necho $3\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "slurm"
    folder.mkdir()
    scancel = "#!/bin/bash\nexit 0\n"
    programs = {"sbatch": SBATCH, "squeue": SQUEUE, "srun": SRUN, "scontrol": SCONTROL, "scancel": scancel}
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_two_processes_write_the_bytes_that_one_writes(
    parts: list[Path], corpus: Path, tokenizer: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    own = steps(parts, corpus, tokenizer, tmp_path / "out")
    run_streaming(own, 3, tmp_path / "log", {}, workers=2)
    assert contents(tmp_path / "out") == expected


def test_a_slurm_array_writes_the_bytes_that_one_process_writes(
    parts: list[Path], corpus: Path, tokenizer: Path, expected: dict[str, bytes], tmp_path: Path, cluster: Path
) -> None:
    own = steps(parts, corpus, tokenizer, tmp_path / "out")
    slurm = Slurm("long", memory_gb=3, options={"account": "mine"}, poll_seconds=0.2)
    run_streaming(own, 2, tmp_path / "log", {}, workers=1, slurm=slurm)
    assert contents(tmp_path / "out") == expected
    submitted = (cluster / "state" / "1").read_text()
    for line in ("--partition=long", "--mem-per-cpu=3G", "--account=mine", "--array=0-1%1"):
        assert f"#SBATCH {line}\n" in submitted
    with pytest.raises(BadInput, match="markers of another job"):
        run_streaming(own, 3, tmp_path / "log", {}, slurm=slurm)


def doubled(batches: Any) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.record_batch({"n": pa.array(np.asarray(batch["n"]) * 2)})


def test_a_task_that_failed_is_told_and_the_next_run_does_only_what_is_left(tmp_path: Path) -> None:
    for number in range(3):
        pq.write_table(pa.table({"n": [number]}), tmp_path / f"{number}.parquet")
    whole = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(whole[:-20])
    out = tmp_path / "out"
    out.mkdir()
    own: list[Any] = [EachPart(tmp_path.glob("*.parquet"), out, doubled, pa.schema([("n", pa.int64())]))]
    with pytest.raises(Failure, match=r"2 of 3 tasks did not end well; .*1\.parquet: cannot be read as Parquet"):
        run_streaming(own, 3, tmp_path / "log", {}, workers=1)
    assert set(contents(out)) == {"0.parquet"}
    (out / "0.parquet").write_bytes(b"not touched again")
    (tmp_path / "1.parquet").write_bytes(whole)
    run_streaming(own, 3, tmp_path / "log", {}, workers=1)
    assert (out / "0.parquet").read_bytes() == b"not touched again"
    assert [pq.read_table(out / f"{number}.parquet")["n"].to_pylist() for number in (1, 2)] == [[2], [4]]


def test_all_mistakes_are_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    with pytest.raises(BadInput) as caught:
        run_streaming([], 0, tmp_path / "log", {}, workers=0, slurm=Slurm("long"))
    assert [mistake.where for mistake in caught.value.mistakes] == ["tasks", "workers", "slurm", "slurm"]
    assert not (tmp_path / "log").exists()


def test_batches_are_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"data": [bytes(1000)] * 100}), tmp_path / "a.parquet")
    monkeypatch.setattr(streaming, "BATCH_BYTES", 10_500)
    sizes = [batch.num_rows for batch in streaming.read_batches(tmp_path / "a.parquet")]
    assert sizes == [10] * 10


def test_text_that_spells_a_control_token_stays_text(tokenizer: Path, tmp_path: Path) -> None:
    texts = [SPELT, "", f"{END_OF_TEXT}{END_OF_TEXT}\nx", "é = 1\n"]
    documents = [Document(text, str(number)) for number, text in enumerate(texts)]
    TokenWriter(tmp_path, tokenizer).run(iter(documents), rank=7)
    loaded = load_tokenizer(tokenizer)
    end = loaded.token_to_id(END_OF_TEXT)
    ids = np.fromfile(tmp_path / "00007.ds", "<u2")
    with (tmp_path / "00007.ds.index").open("rb") as stream:
        ends = load_doc_ends(stream)  # as datatrove reads it
    assert len(ids) == ends[-1]
    found = np.split(ids, np.asarray(ends, np.int64)[:-1])
    assert [loaded.decode(own[:-1].tolist(), skip_special_tokens=False) for own in found] == texts
    assert [own.tolist().count(end) for own in found] == [1] * len(texts)
    with (tmp_path / "00007.ds").open("rb") as stream:
        assert [len(tokens) for tokens in get_data_reader(stream, ends, nb_bytes=2)] == [2 * len(one) for one in found]

    theirs = DocumentTokenizer(str(tmp_path / "theirs"), str(tokenizer), eos_token=END_OF_TEXT, shuffle_documents=False)
    theirs.run(iter(documents))
    [other] = (tmp_path / "theirs").glob("*.ds")
    assert np.fromfile(other, "<u2").tolist().count(end) == len(texts) + 3


def test_the_filter_keeps_what_a_corpus_keeps_and_says_why_the_rest_goes() -> None:
    documents = [
        Document(program(1), "1", metadata={"path": "a.py", "licenses": ["MIT"]}),
        Document(program(2), "2", metadata={"path": "b.py", "licenses": []}),
        Document("def def (((\n" * 9, "3", metadata={"path": "c.py", "licenses": ["MIT"]}),
    ]
    step = PolymixFilter()
    [kept] = step.run(iter(documents))
    assert kept.id == "1"
    assert kept.metadata["language"] == "python"
    assert kept.metadata["license_type"] == "permissive"
    assert {name for name in step.stats.stats if name.startswith("dropped_")} == {
        "dropped_licence: no_license",
        "dropped_filter: syntax",
    }
