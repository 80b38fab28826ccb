"""A corpus built on a standalone cluster, by workers whose Python has none of our packages, also when one is killed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark
import pytest

from pipelines import staging
from pipelines.corpus import CorpusSettings, build
from pipelines.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    # Spark's own modules and the sockets of its workers; the project's modules stay under the general rule.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:::pyspark"),
]

SPARK = Path(pyspark.__file__).parent
FILES = 6
SETTINGS = CorpusSettings(licenses=("permissive", "no_license"))


@dataclass(frozen=True)
class Cluster:
    master: str
    python: Path
    workers: tuple[int, ...]
    work: Path

    def executors(self) -> list[int]:
        """The JVMs that run tasks: children of the workers."""
        children = [
            int(child)
            for pid in self.workers
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
        return [pid for pid in children if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("cluster")
    venv.create(root / "bare", with_pip=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPARK"))} | {
        "PATH": f"{root / 'bare' / 'bin'}:{os.environ['PATH']}",
        "SPARK_HOME": str(SPARK),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str) -> tuple[int, Path]:
            log = root / f"{name}.log"
            command = [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{arguments[0]}", *arguments[1:]]
            command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
            with log.open("wb") as stream:
                process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, cwd=root)
            stack.callback(end, process)
            return process.pid, log

        _, log = start("master", "master.Master")
        master = said(log, r"(spark://127.0.0.1:\d+)")
        arguments = ("worker.Worker", "--cores", "1", "--memory", "4g", "--work-dir", str(root / "work"), master)
        started = [start(f"worker{number}", *arguments) for number in range(2)]
        for _, log in started:
            said(log, "(Successfully registered)")
        yield Cluster(master, root / "bare" / "bin" / "python", tuple(pid for pid, _ in started), root / "work")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def said(log: Path, pattern: str) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text()):
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for number in range(FILES):
        bodies = (f"def value{number}_{n}(a, b):\n    return a * {n} + b - {number}\n\n" for n in range(20))
        (root / f"a{number}.py").write_text("".join(bodies))
    (root / "near.py").write_text((root / "a3.py").read_text().replace("value3_7(", "renamed("))
    (root / "same.py").write_text((root / "a4.py").read_text())
    (root / "broken.py").write_text("def def def ((( = = =\n" * 9)
    return root


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.parquet")
    }


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("local") / "corpus"
    build([str(source)], out, SETTINGS, master="local[2]")
    return digests(out)


@pytest.fixture(scope="module")
def spark(
    cluster: Cluster,
    expected: dict[str, str],  # noqa: ARG001  (made before: a process has one session at a time)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    with session(scratch, master=cluster.master, memory="512m", python=str(cluster.python)) as spark:
        yield spark


def test_executors_use_a_bare_python_and_the_libraries_they_were_sent(cluster: Cluster, spark: SparkSession) -> None:
    def where(_: int) -> tuple[str, ...]:
        from importlib.resources import files

        import numpy

        import quality
        from quality.languages import LANGUAGES, grammar_of

        for language in LANGUAGES:
            grammar_of(language)  # a library that is imported by name
        return sys.executable, str(numpy.__file__), str(quality.__file__), str(files("analysis") / "sql" / "points.sql")

    assert subprocess.run([cluster.python, "-c", "import numpy"], capture_output=True).returncode == 1
    [(python, *files)] = spark.sparkContext.parallelize([0], 1).map(where).collect()
    assert python == str(cluster.python)
    assert all(Path(file).is_relative_to(cluster.work) and Path(file).is_file() for file in files)


def test_a_cluster_builds_the_same_corpus_also_when_an_executor_is_killed(
    cluster: Cluster,
    spark: SparkSession,
    source: Path,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staging, "STAGED_BYTES", 1)  # each file a task of its own
    tracker: Any = spark.sparkContext.statusTracker()
    before = cluster.executors()
    killed: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.02):
            for stage in tracker.getActiveStageIds():
                info = tracker.getStageInfo(stage)
                if info and info.numActiveTasks and info.numTasks >= FILES:  # with files in hand
                    os.kill(before[0], signal.SIGKILL)
                    killed.append(before[0])
                    return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        build([str(source)], tmp_path / "corpus", SETTINGS, spark=spark)
    finally:
        done.set()
        thread.join()
    assert killed
    assert any(name.startswith("documents/") for name in expected)
    assert killed[0] not in cluster.executors()
    assert digests(tmp_path / "corpus") == expected
