from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines.spark import _cause, check_master, session
from quality.mistakes import BadInput, Failure


def test_a_job_failure_is_told_by_the_end_of_its_python_traceback() -> None:
    message = (
        'Job aborted.\n\tat org.apache.X\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
        "ValueError: wrong\n\n\tat org.apache.Y\n"
    )
    assert _cause(message).splitlines()[-1] == "ValueError: wrong"
    assert "org.apache" not in _cause(message)
    assert _cause("[PATH] no such path\nmore").startswith("[PATH] no such path")


@pytest.mark.parametrize(
    "master", ["local", "local[2]", "local[*]", "local[2, 3]", "spark://h:7077", "spark://a:1,b:2"]
)
def test_masters_that_a_session_can_start_on(master: str) -> None:
    check_master(master)


@pytest.mark.parametrize(
    "master", ["", "foo://h:1", "yarn", "local[0]", "local[x]", "spark://h", "spark://h:p", "k8s://h"]
)
def test_other_masters_are_refused_before_anything_starts(master: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="spark://HOST:PORT"), session(tmp_path, master=master):
        pass
    assert not list(tmp_path.iterdir())


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
