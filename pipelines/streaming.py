"""Work that looks at one file at a time, under datatrove's executors: on this machine's cores, or as a Slurm job array.

Start at `run_streaming`. Steps: `EachPart` applies a function of Arrow batches to Parquet files; `CorpusReader` reads a
corpus as datatrove's documents, `PolymixFilter` judges documents that any of datatrove's readers brought, and
`TokenWriter` tokenizes them. `stream_tokens` tokenizes a whole corpus and merges what came out. What needs all files at
once runs on Spark. What always holds:

- What is written depends on the input and the steps: neither on the executor, nor on the number of tasks or workers.
- A file appears under its name when it is whole; a task that was finished is not done again by the same job.
- Text never becomes a control token.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import dill
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.tokens.merger import DocumentTokenizerMerger
from datatrove.pipeline.tokens.tokenizer import TokenizedFile

from pipelines.corpus_settings import CorpusSettings
from pipelines.inspection import Inspection, inspect_file
from pipelines.staging import RAW_SCHEMA
from pipelines.tokenizer import Encoder, end_of_text_id, load_tokenizer
from quality.artifacts import canonical_json, file_sha256, make_folder, read_manifest, write_atomically
from quality.documents import document_id, git_blob_id
from quality.mistakes import BadInput, Failure, Mistake, bad_input
from quality.progress import progress, say
from training.stores import DTYPES, UINT16_IDS

BATCH_ROWS = 256
"""The most files in one Arrow batch, as under Spark."""

BATCH_BYTES = 16 << 20
"""The most bytes in one Arrow batch, but for a single larger file, as under Spark."""

_ENCODED_BYTES = 4_000_000  # text that is encoded at once
_IDENTITY = "job.json"
_LOCAL_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Slurm:
    """Where and how a Slurm job array runs.

    Args:
        partition: The partition.
        time: The time limit of a task, as Slurm writes it.
        memory_gb: Memory of a task, in GB.
        qos: The quality of service; empty for the cluster's default.
        environment: Shell commands that make this project's Python come first on the path; empty where nodes see this
            interpreter under the same path.
        use_srun: Whether tasks are started by `srun`.
        options: More options of `sbatch`, by name without dashes.
        poll_seconds: How often progress is looked at.
    """

    partition: str
    time: str = "12:00:00"
    memory_gb: int = 2
    qos: str = ""
    environment: str = ""
    use_srun: bool = True
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    poll_seconds: float = 10.0


def run_streaming(
    steps: Sequence[PipelineStep],
    tasks: int,
    logging_dir: Path | str,
    identity: Mapping[str, Any],
    *,
    workers: int | None = None,
    slurm: Slurm | None = None,
    description: str = "streaming",
) -> None:
    """Run a datatrove pipeline to its end; tasks that an earlier try finished are skipped.

    Args:
        steps: What each task does; the first step reads the task's share.
        tasks: How many shares there are.
        logging_dir: Where datatrove keeps completion markers, logs and statistics; on Slurm all nodes must see it.
        identity: All that the output depends on, as JSON: a folder with the markers of another job is refused.
        workers: Tasks at a time; None for one a core here, and for no limit on Slurm.
        slurm: Run as a Slurm job array, and wait for it; None to run on this machine.
        description: What is done, in a few words.

    Raises:
        BadInput: The numbers are wrong, the folder belongs to another job, or Slurm cannot be used from here.
        Failure: A task failed; the message holds its last words.
    """
    _check(tasks, workers, slurm)
    folder = Path(logging_dir).absolute()
    make_folder(folder)
    own = canonical_json({"identity": identity, "tasks": tasks})
    remembered = folder / _IDENTITY
    if remembered.is_file() and remembered.read_text() != own:
        bad_input(folder, "holds the markers of another job; name a new folder, or remove this one to start anew")
    write_atomically(remembered, own)
    if slurm is None:
        local = workers or len(os.sched_getaffinity(0))
        executor: Any = LocalPipelineExecutor(list(steps), tasks, min(local, tasks), str(folder))
    else:
        executor = _slurm_executor(steps, tasks, workers, slurm, folder)
    begun = len(executor.get_incomplete_ranks())
    if begun < tasks:
        say(f"{description}: {tasks - begun:,} of {tasks:,} tasks were done before")
    if begun:
        running = _local(executor, folder) if slurm is None else _submitted(executor)
        wait = _LOCAL_POLL_SECONDS if slurm is None else slurm.poll_seconds
        with progress(total=tasks, description=description, unit="task") as bar, running as alive:
            going = True
            while going:
                going = alive()  # asked first: what it finished before it ended is counted
                bar.update(tasks - len(executor.get_incomplete_ranks()) - bar.n)
                if going:
                    time.sleep(wait)
    left = executor.get_incomplete_ranks()
    if left:
        raise Failure(
            f"{description}: {len(left):,} of {tasks:,} tasks did not end well; the first is told in "
            f"{_log_of(folder, left[0])}: {_last_words(folder, left)}; run the same again to do only what is left"
        )


def _check(tasks: int, workers: int | None, slurm: Slurm | None) -> None:
    mistakes: list[Mistake] = []
    for name, value in (("tasks", tasks), ("workers", 1 if workers is None else workers)):
        if value < 1:
            mistakes.append(Mistake(name, f"{value}: at least 1 is needed"))
    if slurm is not None:
        missing = [program for program in ("sbatch", "squeue", "scontrol", "scancel") if shutil.which(program) is None]
        if missing:
            mistakes.append(Mistake("slurm", f"{', '.join(missing)} not found on the path; run this on a login node"))
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            mistakes.append(Mistake("slurm", "this is a task of a job array already; run this on a login node"))
    if mistakes:
        raise BadInput(mistakes)


def _slurm_executor(
    steps: Sequence[PipelineStep], tasks: int, workers: int | None, slurm: Slurm, folder: Path
) -> SlurmPipelineExecutor:
    programs, path = shlex.quote(str(Path(sys.executable).parent)), shlex.quote(os.pathsep.join(_own_path()))
    return SlurmPipelineExecutor(
        list(steps),
        tasks,
        slurm.time,
        slurm.partition,
        mem_per_cpu_gb=slurm.memory_gb,
        workers=workers or -1,
        job_name="polymix",
        qos=slurm.qos,
        env_command=slurm.environment or f'export PATH={programs}:"$PATH" PYTHONPATH={path}',
        # datatrove's job that adds up statistics would wait for ever behind a task that failed.
        sbatch_args={"kill-on-invalid-dep": "yes", **slurm.options},
        logging_dir=str(folder),
        with_srun=slurm.use_srun,
    )


def _own_path() -> list[str]:
    """Return what this process imports from beside its interpreter's own folders."""
    interpreter = (sys.prefix, sys.base_prefix)
    paths = dict.fromkeys(str(Path(path).absolute()) for path in sys.path)
    return [path for path in paths if not any(Path(path).is_relative_to(one) for one in interpreter)]


@contextmanager
def _local(executor: PipelineExecutor, folder: Path) -> Iterator[Callable[[], bool]]:
    """Run an executor in a process of its own, which keeps datatrove's log lines from the terminal."""
    pickled = folder / "executor.pik"
    with pickled.open("wb") as stream:
        dill.dump(executor, stream, fmode=dill.CONTENTS_FMODE)  # as datatrove does for Slurm
    code = "from pipelines.streaming import run_pickled; run_pickled()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_own_path())}
    with (folder / "local.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(pickled), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        yield lambda: process.poll() is None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_pickled() -> None:
    """Run the executor whose file the command line names, and end all its processes with the process named behind."""
    pickled, parent = sys.argv[1:]

    def end_with_parent() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.killpg(os.getpgrp(), signal.SIGKILL)  # this process and the pool's

    threading.Thread(target=end_with_parent, daemon=True).start()
    with Path(pickled).open("rb") as stream:
        executor: PipelineExecutor = dill.load(stream)
    executor.run()


@contextmanager
def _submitted(executor: SlurmPipelineExecutor) -> Iterator[Callable[[], bool]]:
    """Submit a job array; it is cancelled when the waiting for it ends early."""
    try:
        executor.run()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"Slurm did not take the job: {error}") from error
    job = str(executor.job_id)

    def queued() -> bool:
        answer = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True)
        return answer.returncode == 0 and bool(answer.stdout.strip())

    try:
        yield queued
    except BaseException:
        subprocess.run(["scancel", job], capture_output=True)
        raise


def _log_of(folder: Path, rank: int) -> Path:
    log = folder / "logs" / f"task_{rank:05d}.log"
    return log if log.is_file() else folder


def _last_words(folder: Path, ranks: Sequence[int]) -> str:
    """Return the error of the first task that has told one, else what the process of all tasks said last."""
    slurm = sorted((folder / "slurm_logs").glob("*"))
    for log in [*(_log_of(folder, rank) for rank in ranks), folder / "local.log", *slurm]:
        if log.is_file():
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Failure|BadInput|Exit)\b", line)]
            if errors:
                return errors[-1]
    return "nothing was logged"


# --- Files of Arrow batches ---------------------------------------------------------------------------------------

BatchFunction = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class EachPart(PipelineStep):
    """Applies a function of Arrow batches to Parquet files: one output file for each, under the same name.

    Args:
        parts: The files; their names differ.
        out: An existing folder.
        function: Batches of one file to batches of `schema`; as for Spark's `mapInArrow`, what it makes of a row must
            not depend on the batch the row is in.
        schema: Of what is written.
    """

    name = "each part"
    type = "polymix"

    def __init__(self, parts: Iterable[Path], out: Path, function: BatchFunction, schema: pa.Schema) -> None:
        super().__init__()
        self.parts = sorted((part.absolute() for part in parts), key=lambda part: part.name)
        self.out = out.absolute()
        self.function = function
        self.schema = schema
        twice = [name for name, number in Counter(part.name for part in self.parts).items() if number > 1]
        if twice:
            bad_input("parts", f"more than one file is called {', '.join(twice)}; give each a name of its own")

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:  # noqa: ARG002
        """Write the outputs of this task's share of the files."""
        for part in self.parts[rank::world_size]:
            partial = self.out / f".{part.name}.partial"
            try:
                with pq.ParquetWriter(partial, self.schema) as writer:
                    for batch in self.function(read_batches(part)):
                        writer.write_batch(batch)
                        self.stat_update("rows", value=batch.num_rows)
                partial.replace(self.out / part.name)
            finally:
                partial.unlink(missing_ok=True)
            self.stat_update("parts")


def _whole(part: Path) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches(list(read_batches(part)), pq.read_schema(part))
    yield from table.sort_by("id").to_batches(max_chunksize=BATCH_ROWS)


def read_batches(part: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in batches of bounded size.

    Raises:
        Failure: It cannot be read.
    """
    try:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                rows = max(1, min(batch.num_rows, batch.num_rows * BATCH_BYTES // max(1, batch.nbytes)))
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)
    except (OSError, pa.ArrowException) as error:
        raise Failure(f"{part}: cannot be read as Parquet ({error})") from error


# --- datatrove's documents ----------------------------------------------------------------------------------------


class CorpusReader(PipelineStep):
    """Reads a corpus: text and id of each document, all other columns as metadata, and its file's name as `part`.

    Args:
        corpus: A `corpus` artifact.
        by_id: Hold each file in memory as a whole, and yield its documents in the order of their ids.

    Raises:
        BadInput: There is no such corpus.
    """

    name = "corpus"
    type = "polymix reader"

    def __init__(self, corpus: Path | str, *, by_id: bool = False) -> None:
        super().__init__()
        read_manifest(corpus, "corpus")
        self.by_id = by_id
        self.documents = Path(corpus).absolute() / "documents"
        self.parts = sorted(self.documents.glob("language=*/split=*/*.parquet"))

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield what came before, then the documents of this task's share of the files."""
        yield from data or ()
        for part in self.parts[rank::world_size]:
            name = part.relative_to(self.documents).with_suffix("")
            of_folder = dict(folder.split("=", 1) for folder in name.parts[:-1])
            for batch in _whole(part) if self.by_id else read_batches(part):
                for row in batch.to_pylist():
                    text, identifier = row.pop("text"), row.pop("id")
                    self.stat_update("documents")
                    yield Document(text, identifier, metadata={**of_folder, **row, "part": name.as_posix()})


class TokenWriter(PipelineStep):
    """Writes documents as token ids in datatrove's format: `.ds`, `.ds.index` and `.ds.metadata`, in their order.

    Documents that carry a `part` go to the file of that name, others to one named by the task; each is followed by
    end-of-text.

    Args:
        out: The folder of the files.
        tokenizer: A `tokenizer.json`.
    """

    name = "tokens"
    type = "polymix writer"

    def __init__(self, out: Path | str, tokenizer: Path | str) -> None:
        super().__init__()
        self.out = Path(out).absolute()
        self.tokenizer = Path(tokenizer).absolute()

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:  # noqa: ARG002
        """Write the documents."""
        loaded = load_tokenizer(self.tokenizer)
        dtype = DTYPES["uint16" if loaded.get_vocab_size() <= UINT16_IDS else "uint32"]
        end = np.array([end_of_text_id(loaded, self.tokenizer)], dtype).tobytes()
        encoder = Encoder(self.tokenizer, dtype)
        documents: Iterator[Document] = data
        for part, own in groupby(documents, lambda one: str(one.metadata.get("part") or f"{rank:05d}")):
            path = self.out / f"{part}.ds"
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = f".{path.name}.partial"
            name = f"{self.tokenizer.name}@{file_sha256(self.tokenizer)}"
            size = dtype.itemsize
            file = TokenizedFile(
                str(path.parent), partial, tokenizer_name_or_path=name, save_final_metadata=True, token_size=size
            )
            for texts in _bounded(document.text for document in own):
                for ids in encoder.encode(texts):
                    file.write_bytes(ids + end)
                    self.stat_update("tokens", value=len(ids) // size + 1)
            file.close()
            for ending in (".index", ".metadata", ""):
                path.with_name(partial + ending).replace(path.with_name(path.name + ending))


def _bounded(texts: Iterable[str]) -> Iterator[list[str]]:
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= _ENCODED_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


class IdMerger(DocumentTokenizerMerger):
    """datatrove's merger, in the order of ids instead of a random one.

    Args:
        folder: Tokenized files, each in the order of its documents' ids.
        out: The folder of the merged file, `000_tokens.ds`.
        ids: The ids of each file's documents, by the files' names.
    """

    def __init__(self, folder: Path, out: Path, ids: Mapping[str, Sequence[str]]) -> None:
        super().__init__(str(folder), str(out), "tokens", max_tokens_per_file=2**62, shuffle=False, progress=False)
        self.ids = ids

    def get_ordering(self, all_doc_ends: Sequence[Any]) -> Any:
        """Return from which file each document of the merged one comes."""
        own = [sorted(self.ids[name]) for name in sorted(self.ids)]
        if [len(ids) for ids in own] != [len(ends) for ends in all_doc_ends]:
            raise Failure(
                f"{self.input_folder.path}: not all documents were tokenized; remove the folder and start anew"
            )
        files = np.repeat(np.arange(len(own)), [len(ids) for ids in own])
        return files[np.argsort(np.concatenate([np.array(ids) for ids in own]), kind="stable")]


def stream_tokens(
    corpus: Path,
    tokenizer: Path,
    work: Path,
    identity: Mapping[str, Any],
    *,
    workers: int | None = None,
    slurm: Slurm | None = None,
) -> dict[tuple[str, str], Path]:
    """Tokenize a corpus by datatrove, a task a file, and merge the files of each language and split.

    Args:
        corpus: A `corpus` artifact.
        tokenizer: A `tokenizer.json`; on Slurm all nodes must see it, as they must see `work`.
        work: Where tokenized files and datatrove's markers are kept.
        identity: As `run_streaming`.
        workers: As `run_streaming`.
        slurm: As `run_streaming`.

    Returns:
        By language and split the file with all documents in the order of their ids, each with its end-of-text; its
        index lies beside it.
    """
    reader = CorpusReader(corpus, by_id=True)
    steps = [reader, TokenWriter(work / "tokenized", tokenizer)]
    number = len(reader.parts)
    run_streaming(steps, number, work / "tokenizing", identity, workers=workers, slurm=slurm, description="tokenizing")
    merged: dict[tuple[str, str], Path] = {}
    for folder in sorted(reader.documents.glob("language=*/split=*")):
        place = folder.relative_to(reader.documents)
        language, split = (name.partition("=")[2] for name in place.parts)
        ids = {
            f"{part.stem}.ds": cast(list[str], pq.read_table(part, columns=["id"], partitioning=None)["id"].to_pylist())
            for part in folder.glob("*.parquet")
        }
        ids = {name: own for name, own in ids.items() if own}
        if not ids:
            continue
        out = work / "merged" / place
        IdMerger(work / "tokenized" / place, out, ids).run()
        merged[language, split] = out / "000_tokens.ds"
    return merged


class PolymixFilter(BaseFilter):
    """Keeps the documents that a corpus would keep before duplicates are looked for, and says why others go.

    What is found out about a document that stays (language, licences, ...) is added to its metadata.

    Args:
        inspection: What documents are judged by; the default settings when None.
        path_key: The metadata that names the file, which counts much for what it is.
        licenses_key: The metadata that lists SPDX names of the repository's licences.
        exclusion_writer: One of datatrove's writers for what goes, with `filter_reason` in the metadata.
    """

    name = "polymix"

    def __init__(
        self,
        inspection: Inspection | None = None,
        path_key: str = "path",
        licenses_key: str = "licenses",
        exclusion_writer: Any = None,
    ) -> None:
        super().__init__(exclusion_writer)
        self.inspection = inspection or Inspection(CorpusSettings())
        self.path_key = path_key
        self.licenses_key = licenses_key

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return whether a document stays, or False and the reason."""
        data, known = doc.text.encode("utf-8", "surrogatepass"), doc.metadata
        path, repo_name = str(known.get(self.path_key) or ""), str(known.get("repo_name") or "")
        blob_id = git_blob_id(data)
        raw = {name: known.get(name) for name in RAW_SCHEMA.names} | {
            "id": document_id(repo_name, path, blob_id),
            "blob_id": blob_id,
            "repo_name": repo_name,
            "path": path,
            "data": data,
            "licenses": known.get(self.licenses_key) or [],
        }
        row = inspect_file(raw, self.inspection)
        if row.get("stage") is not None:
            return False, f"{row['stage']}: {row['reason']}"
        known |= {name: value for name, value in row.items() if name not in ("id", "text") and value is not None}
        return True
