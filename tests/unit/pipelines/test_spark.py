from __future__ import annotations

from pipelines.spark import _cause


def test_a_job_failure_is_told_by_the_end_of_its_python_traceback() -> None:
    message = (
        'Job aborted.\n\tat org.apache.X\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
        "ValueError: wrong\n\n\tat org.apache.Y\n"
    )
    assert _cause(message).splitlines()[-1] == "ValueError: wrong"
    assert "org.apache" not in _cause(message)
    assert _cause("[PATH] no such path\nmore").startswith("[PATH] no such path")
