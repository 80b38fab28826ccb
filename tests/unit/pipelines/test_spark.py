from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines.spark import _await_executor, _cause, check_place_of_work, session
from quality.mistakes import BadInput, Failure


def test_a_job_failure_is_told_by_the_end_of_its_python_traceback() -> None:
    message = (
        'Job aborted.\n\tat org.apache.X\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
        "ValueError: wrong\n\n\tat org.apache.Y\n"
    )
    assert _cause(message).splitlines()[-1] == "ValueError: wrong"
    assert "org.apache" not in _cause(message)
    assert _cause("[PATH] no such path\nmore").startswith("[PATH] no such path")


def test_a_job_failure_in_java_is_told_by_its_innermost_cause() -> None:
    message = (
        "An error occurred while calling o80.parquet.\n: Job aborted: Task failed while writing rows.\n\tat a.B\n"
        "Caused by: x.y.CloseException: Unable to close\n\t... 1 more\nCaused by: java.io.IOException: No space left\n"
        "\tat c.D\n\t... 41 more\n"
    )
    told = _cause(message)
    assert "Task failed while writing rows" in told
    assert told.endswith("Caused by: java.io.IOException: No space left")
    assert "at a.B" not in told


@pytest.mark.parametrize(
    "master", ["local", "local[2]", "local[*]", "local[2, 3]", "spark://h:7077", "spark://a:1,b:2"]
)
def test_masters_that_a_session_can_start_on(master: str) -> None:
    check_place_of_work(master, "2g")


@pytest.mark.parametrize(
    "master", ["", "foo://h:1", "yarn", "local[0]", "local[x]", "spark://h", "spark://h:p", "k8s://h"]
)
def test_other_masters_are_refused_before_anything_starts(master: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="spark://HOST:PORT"), session(tmp_path, master=master):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_master_and_memory_is_told_together() -> None:
    with pytest.raises(BadInput) as wrong:
        check_place_of_work("foo", "100m")
    assert len(wrong.value.mistakes) == 2
    assert "450m" in str(wrong.value)
    check_place_of_work("local", "450m")


def test_memory_needs_a_unit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="such as 512m"), session(tmp_path, memory="2"):
        pass


def test_a_master_that_does_not_answer_is_told_in_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening
        port = taken.getsockname()[1]
        with (
            pytest.raises(Failure, match=rf"no Spark master answers at spark://127.0.0.1:{port} \(.*refused\)"),
            session(tmp_path, master=f"spark://127.0.0.1:{port}"),
        ):
            pass


class Alone:
    """What is asked of a session whose driver has no executor."""

    sparkContext = _jsc = property(lambda self: self)  # noqa: N815

    def sc(self) -> Alone:
        return self

    def getExecutorMemoryStatus(self) -> dict[str, int]:  # noqa: N802
        return Status(driver=1)


class Status(dict[str, int]):
    size = dict[str, int].__len__


def test_a_cluster_that_cannot_give_what_is_asked_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.spark.EXECUTOR_SECONDS", 0.2)
    with pytest.raises(Failure, match=r"no worker of spark://h:1 started an executor within .*; .* 100g"):
        _await_executor(Alone(), "spark://h:1", "100g")


@pytest.mark.parametrize("name", ["a [b]", "{c}", "d,e"])
def test_a_path_that_means_something_else_to_spark_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(BadInput, match="in a path for a pattern or a list; name another --out, or --work"),
        session(tmp_path / name),
    ):
        pass
