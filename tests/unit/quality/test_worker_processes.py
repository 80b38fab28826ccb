"""Worker processes end with the process that started them, do not run its script, and are missed when they are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quality.workers import WorkerLost, lives, worker_processes

ROOT = Path(__file__).parents[3]


def test_they_end_with_the_process_that_started_them_and_need_no_guard_in_its_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from quality.workers import worker_processes\n"
        "print('script', flush=True)\n"
        "with worker_processes(2, 'json') as pool:\n"
        "    print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "script\n"
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert workers
        assert all(map(lives, workers))
        process.kill()
        rest = process.stdout.read()
    end = time.monotonic() + 20
    while any(map(lives, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(lives, workers))
    assert rest == "", "a worker ran the script"


def test_a_lost_one_is_an_error_and_not_an_endless_wait() -> None:
    with pytest.raises(WorkerLost, match="memory"), worker_processes(2, "json") as pool:
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()
