"""A quiet Spark session on this machine, for verbs whose caller brings none.

Start at `session`. Everything Spark writes beside its results (shuffles, temporary files, its log) lies in the scratch
folder that the caller names; nothing listens on an outside address; the JVM ends with the session. `watched` shows the
tasks of running jobs as a progress bar.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.mistakes import Failure, bad_input
from quality.progress import progress

MINIMUM_JAVA = 17
"""Source: Spark 4 documentation, "Spark runs on Java 17/21"."""

PARTITION_BYTES = 8 << 20
"""The most source bytes in one partition: a Python task costs about 27 ms by itself and takes in some 2 MB a second."""

_LOG4J = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def find_java() -> str:
    """Return the path of a Java that runs Spark.

    Raises:
        BadInput: There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    fix = f"install Java {MINIMUM_JAVA} or newer (Debian: default-jdk-headless), or run `make toolchains`"
    if java is None:
        bad_input("java", f"not found, and Spark runs on it; {fix}")
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        bad_input(java, f"does not run ({error}); {fix}" + (", or correct JAVA_HOME" if home else ""))
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if found and int(found.group(1)) < MINIMUM_JAVA:
        bad_input(java, f"is Java {found.group(1)}, too old for Spark; {fix}")
    return java


@contextmanager
def session(scratch: Path, *, master: str = "local[*]", memory: str = "2g") -> Iterator[SparkSession]:
    """Start Spark, and stop it and its JVM at the end.

    Args:
        scratch: An existing folder for temporary files and Spark's log.
        master: Where Spark runs its tasks.
        memory: The driver's heap (in local mode the executor's too), as Java writes it.

    Raises:
        BadInput: There is no usable Java.
        Failure: A job failed; the message holds the error of the Python code, where there is one.
    """
    find_java()
    settings = scratch / "log4j2.properties"
    settings.write_text(_LOG4J)
    log = scratch / "spark.log"
    local = scratch / "local"
    local.mkdir(exist_ok=True)
    builder: Any = SparkSession.builder
    options = {
        "spark.app.name": "polymix",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": memory,
        "spark.driver.maxResultSize": "0",
        # The work is done in Python: a JVM that compiles less starts its jobs sooner and leaves the cores to it.
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile=file:{settings} -Djava.io.tmpdir={local}"
            " -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
        ),
        "spark.local.dir": str(local),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.files.maxPartitionBytes": str(PARTITION_BYTES),
        # As much as a partition holds: each staged file becomes one partition of its own.
        "spark.sql.files.openCostInBytes": str(PARTITION_BYTES),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
        "spark.sql.parquet.columnarReaderBatchSize": "256",
        "spark.sql.session.timeZone": "UTC",
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    # Workers are this Python; and a machine that cannot resolve its own name can still talk to itself.
    loopback = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", **os.environ}
    own = {name: loopback[name] for name in ("SPARK_LOCAL_IP", "SPARK_LOCAL_HOSTNAME")}
    with _stderr_to(log), _variables({"PYSPARK_PYTHON": sys.executable, **own}):
        try:
            spark: SparkSession = builder.master(master).getOrCreate()
        except Exception as error:
            raise Failure(f"Spark did not start: {error}\n{_tail(log)}") from error
    try:
        yield spark
    except PySparkException as error:
        raise Failure(f"a Spark job failed: {_cause(str(error))}") from error
    finally:
        _end(spark)


def _end(spark: SparkSession) -> None:
    context: Any = spark.sparkContext
    gateway: Any = context._gateway
    spark.stop()
    # The JVM outlives its context, with options that name this scratch folder: the next session needs its own.
    gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    kind: Any = type(context)
    kind._gateway = None
    kind._jvm = None


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """Let processes that start inside inherit a log file as their stderr: the JVM warns there about itself."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for what starts inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _tail(log: Path, lines: int = 15) -> str:
    text = log.read_text(errors="replace") if log.is_file() else ""
    return "\n".join([line for line in text.splitlines() if line.strip() and not line.startswith("\tat ")][-lines:])


def _cause(message: str) -> str:
    """Return the end of the Python traceback in a Spark error, or its first lines."""
    python = message.rpartition("Traceback (most recent call last):")[2] if "Traceback" in message else ""
    lines = [line for line in (python or message).splitlines() if line.strip() and not line.startswith("\tat ")]
    return "\n".join(lines[-12:] if python else lines[:6])


@contextmanager
def watched(spark: SparkSession, description: str) -> Iterator[None]:
    """Show the tasks of the jobs that run inside as a progress bar.

    Args:
        spark: The session they run in.
        description: What they do, in a few words.
    """
    tracker: Any = spark.sparkContext.statusTracker()
    done = threading.Event()
    seen: dict[int, tuple[int, int]] = {}
    bar = progress(total=0, description=description, unit="task")

    def look() -> None:
        for stage in tracker.getActiveStageIds():
            info = tracker.getStageInfo(stage)
            if info is not None:
                seen[stage] = (info.numTasks, info.numCompletedTasks)
        bar.total = sum(tasks for tasks, _ in seen.values())
        bar.update(sum(finished for _, finished in seen.values()) - bar.n)

    def poll() -> None:
        while not done.wait(0.5):
            look()

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    start = time.monotonic()
    try:
        yield
        bar.total = sum(tasks for tasks, _ in seen.values())
        bar.update(bar.total - bar.n)
    finally:
        done.set()
        thread.join()
        bar.set_postfix_str(f"{time.monotonic() - start:.1f} s", refresh=False)
        bar.close()
