"""A quiet Spark session, on this machine or on a standalone cluster, for verbs whose caller brings none.

Start at `session`. Everything the driver writes beside its results (shuffles, temporary files, its log) lies in the
scratch folder that the caller names; the JVM ends with the session. In local mode, and with a master on loopback,
nothing listens on an outside address. Executors of a cluster need none of our packages: see `pipelines.shipping`.
`watched` shows the tasks of running jobs as a progress bar.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.mistakes import BadInput, Failure, Mistake, bad_input
from quality.progress import progress

MINIMUM_JAVA = 17
"""Source: Spark 4 documentation, "Spark runs on Java 17/21"."""

PARTITION_BYTES = 8 << 20
"""The most source bytes in one partition: a Python task costs about 27 ms by itself and takes in some 2 MB a second."""

BATCH_BYTES = 16 << 20
"""The most bytes in one Arrow batch between Spark and Python, but for a single larger file."""

ANSWER_SECONDS = 10.0
"""How long an address may take to answer at all."""

EXECUTOR_SECONDS = 60.0
"""How long a cluster may take to start the first executor; one fetches some 90 MB and takes a few seconds."""

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


def check_place_of_work(master: str, memory: str) -> None:
    """Check that `session` can start with a master and a heap, without touching the network.

    Raises:
        BadInput: It cannot; all mistakes are told.
    """
    mistakes: list[Mistake] = []
    if not _LOCAL.fullmatch(master) and not _STANDALONE.fullmatch(master):
        mistakes.append(
            Mistake(
                f"master {master!r}",
                "local, local[N] or local[*] runs here, spark://HOST:PORT[,HOST:PORT] on a standalone cluster; "
                "for any other kind start your own session and hand it over as `spark` (in Python)",
            )
        )
    size = _MEMORY.fullmatch(memory)
    if not size:
        mistakes.append(Mistake(f"memory {memory!r}", "a whole number and a unit is needed, such as 512m or 4g"))
    elif int(size[1]) << 10 * ("kmgt".index(size[2].lower()) + 1) < LEAST_MEMORY:
        mistakes.append(Mistake(f"memory {memory!r}", f"Spark does not start with less than {LEAST_MEMORY >> 20}m"))
    if mistakes:
        raise BadInput(mistakes)


LEAST_MEMORY = 450 << 20
"""Source: Spark's UnifiedMemoryManager, one and a half times the 300 MiB that it reserves for itself."""


_LOCAL = re.compile(r"local(\[(\*|[1-9]\d*)(, *[1-9]\d*)?\])?")
_STANDALONE = re.compile(r"spark://[^\s,:/]+:\d{1,5}(,[^\s,:/]+:\d{1,5})*")
_MEANT_BY_SPARK = frozenset("[]{}*?,")
_MEMORY = re.compile(r"([1-9]\d*)([kmgt])", re.IGNORECASE)


@contextmanager
def session(
    scratch: Path, *, master: str = "local[*]", memory: str = "2g", python: str | None = None
) -> Iterator[SparkSession]:
    """Start Spark, and stop it and its JVM at the end.

    On a cluster the code and its libraries are shipped to the executors; folders that jobs read and write must lie
    where all workers see them under the same path.

    Args:
        scratch: An existing folder for temporary files and Spark's log.
        master: Where Spark runs its tasks; see `check_place_of_work`.
        memory: The heap of the driver (in local mode it runs the tasks too) and of each executor, as Java writes it.
        python: The interpreter of a cluster's executors, bare or not; None for the one on their path that is called
            like this one (`python3.11`). In local mode it is always this one.

    Raises:
        BadInput: There is no usable Java, an argument is wrong, or the path of `scratch` means something else to Spark.
        Failure: No master or worker answers, Spark does not start, or a job failed; then the message holds the error of
            the Python code, where there is one.
    """
    check_place_of_work(master, memory)
    if found := sorted(_MEANT_BY_SPARK & set(str(scratch.absolute()))):
        bad_input(
            scratch, f"Spark takes {' '.join(found)} in a path for a pattern or a list; name another --out, or --work"
        )
    if SparkSession.getActiveSession() is not None:
        bad_input(
            "spark", "this process has a session already, and can have one at a time; hand that one over as `spark`"
        )
    find_java()
    local = bool(_LOCAL.fullmatch(master))
    address = "127.0.0.1" if local else _address_towards(master)
    python = sys.executable if local else python or "python{}.{}".format(*sys.version_info)
    options = _options(scratch, address, memory)
    if not local:
        from pipelines.shipping import bundle
        from pipelines.sources import default_cache

        options |= bundle(default_cache() / "executors").settings()
    log = scratch / "spark.log"
    builder: Any = SparkSession.builder
    for name, value in options.items():
        builder = builder.config(name, value)
    # A machine that cannot resolve its own name can still talk to itself.
    own = {"SPARK_LOCAL_IP": address, "SPARK_LOCAL_HOSTNAME": "localhost" if local else address}
    own = {name: os.environ.get(name, value) for name, value in own.items()}
    # It would tell at length that Ctrl-C ended a call.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    with _stderr_to(log), _variables({"PYSPARK_PYTHON": python, **own}):
        try:
            spark: SparkSession = builder.master(master).getOrCreate()
        except Exception as error:
            _end_jvm()
            raise Failure(f"Spark did not start: {error}\n{_tail(log)}") from error
    try:
        if not local:
            _await_executor(spark, master, memory)
        with _told():
            yield spark
    finally:
        spark.stop()
        _end_jvm()


def _options(scratch: Path, address: str, memory: str) -> dict[str, str]:
    logging = scratch / "log4j2.properties"
    logging.write_text(_LOG4J)
    local = scratch / "local"
    local.mkdir(exist_ok=True)
    # The work is done in Python: a JVM that compiles less starts its jobs sooner and leaves the cores to it.
    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    return {
        "spark.app.name": "polymix",
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.driver.memory": memory,
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": " ".join(
            (
                _java_option(f"log4j2.configurationFile={logging.absolute().as_uri()}"),
                _java_option(f"java.io.tmpdir={local}"),
                java,
            )
        ),
        "spark.executor.memory": memory,
        "spark.executor.extraJavaOptions": java,
        "spark.local.dir": str(local),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Small ones are joined again as the job runs, so many cost nothing, and each of a large corpus fits in memory.
        "spark.sql.shuffle.partitions": "32",
        "spark.sql.files.maxPartitionBytes": str(PARTITION_BYTES),
        # As much as a partition holds: each staged file becomes one partition of its own.
        "spark.sql.files.openCostInBytes": str(PARTITION_BYTES),
        # Bounds by rows and bytes: what Python holds at once, and far below the 2 GiB that an Arrow string column
        # with its 32-bit offsets can hold, so that large types are not needed.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(BATCH_BYTES),
        "spark.sql.parquet.columnarReaderBatchSize": "256",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the default is read back without its zone
    }


def _java_option(setting: str) -> str:
    """Return a property of the JVM as Spark reads options: quoted, for the name of a folder may hold blanks.

    Source: `CommandBuilderUtils.parseOptionString` of Spark's launcher.
    """
    escaped = setting.replace("\\", "\\\\").replace('"', '\\"')
    return f'"-D{escaped}"'


def _address_towards(master: str) -> str:
    """Return this machine's address on the way to a master that answers, where executors can call back.

    Raises:
        Failure: None answers.
    """
    problems: list[str] = []
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
                return str(connection.getsockname()[0])
        except (OSError, OverflowError) as error:
            problems.append(f"{place}: {error}")
    raise Failure(
        f"no Spark master answers at {master} ({'; '.join(problems)}); start one there, or correct the address"
    )


def _await_executor(spark: SparkSession, master: str, memory: str) -> None:
    context: Any = spark.sparkContext._jsc.sc()  # pyright: ignore
    end = time.monotonic() + EXECUTOR_SECONDS
    while context.getExecutorMemoryStatus().size() < 2:  # the driver is one of them
        if time.monotonic() > end:
            raise Failure(
                f"no worker of {master} started an executor within {EXECUTOR_SECONDS:.0f} seconds; start workers that "
                f"have {memory} of memory and a core free, or ask for less memory"
            )
        time.sleep(0.1)


def _end_jvm() -> None:
    # The JVM outlives its context, with options that name one scratch folder: the next session needs its own.
    kind: Any = SparkContext
    gateway = kind._gateway
    if gateway is None:
        return
    gateway.shutdown()
    process = getattr(gateway, "proc", None)
    if process is not None:
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
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


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise Failure(f"a Spark job failed: {_cause(str(error))}") from error


def _cause(message: str) -> str:
    """Return the end of the Python traceback in a Spark error, or what was done and the innermost cause."""
    python = message.rpartition("Traceback (most recent call last):")[2] if "Traceback" in message else ""
    lines = [line.strip() for line in (python or message).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("at ", "..."))]
    if python:
        return "\n".join(lines[-12:])
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return "\n".join(dict.fromkeys([*lines[:6], *causes[-1:]]))


@contextmanager
def watched(spark: SparkSession, description: str) -> Iterator[None]:
    """Show the tasks of the jobs that run inside as a progress bar.

    Args:
        spark: The session they run in.
        description: What they do, in a few words.

    Raises:
        Failure: One failed; the message is as that of `session`.
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
        with _told():
            yield
        bar.total = sum(tasks for tasks, _ in seen.values())
        bar.update(bar.total - bar.n)
    finally:
        done.set()
        thread.join()
        bar.set_postfix_str(f"{time.monotonic() - start:.1f} s", refresh=False)
        bar.close()
