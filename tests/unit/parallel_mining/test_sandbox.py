"""What a hostile or broken program can do in the sandbox: nothing that reaches the host, and never for long."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from parallel_mining import sandbox
from parallel_mining.drivers import interpreter
from parallel_mining.sandbox import Completed, Limits, Unsandboxed, run

needs_sandbox = pytest.mark.skipif(
    bool(sandbox.ready()) and os.environ.get("POLYMIX_ALL_TOOLCHAINS") != "1", reason=sandbox.ready()
)
QUICK = Limits(wall_s=5, cpu_s=5, memory_bytes=200 << 20, scratch_bytes=8 << 20, output_bytes=1 << 20)


def shell(script: str, limits: Limits = QUICK, **rest: object) -> Completed:
    return run(["/bin/sh", "-c", script], limits=limits, **rest)  # pyright: ignore[reportArgumentType]


def python(script: str, limits: Limits = QUICK) -> Completed:
    path, binds = interpreter()
    return run([path, "-I", "-S", "-c", script], limits=limits, binds=binds)


@pytest.fixture
def without_cgroups(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        return None

    monkeypatch.setattr(sandbox, "_make_cgroup", none)


@needs_sandbox
def test_a_program_sees_its_files_and_its_input_and_answers() -> None:
    done = shell("cat /job/in/a; cat; echo bad >&2; exit 3", files={"in/a": b"file "}, stdin=b"stdin")
    assert (done.rc, done.stdout, done.stderr) == (3, b"file stdin", b"bad\n")
    assert done.killed_by == ""
    # Without a cgroup, what runs for less than a look is not seen.
    assert done.cpu_s > 0 or done.limited_by == "rlimits"


@needs_sandbox
def test_the_program_is_nobody_and_sees_only_itself() -> None:
    done = shell("id -u; id -G; cat /proc/self/status | grep CapEff; ls /proc | grep -c '^[0-9]'; hostname; env")
    uid, groups, capabilities, processes, host, *environment = done.stdout.decode().splitlines()
    assert (uid, groups, host) == ("65534", "65534", "sandbox")
    assert set(capabilities.split()[1]) == {"0"}
    assert int(processes) < 10
    assert {line.split("=")[0] for line in environment} == {"PATH", "HOME", "TMPDIR", "LANG", "PWD"}


@needs_sandbox
@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/root", "/home", "/work", "/var", str(Path(__file__))])
def test_the_hosts_files_are_not_there(path: str) -> None:
    done = shell(f"ls -la {path}")
    assert done.rc != 0
    assert b"No such file" in done.stderr or b"denied" in done.stderr


@needs_sandbox
@pytest.mark.parametrize("path", ["/x", "/usr/x", "/job/x", "/job/given", "/dev/x", "/proc/sys/kernel/hostname"])
def test_only_tmp_can_be_written(path: str) -> None:
    done = shell(f"echo x > {path}", files={"given": b"given"})
    assert done.rc != 0
    assert shell("echo x > /tmp/x && cat /tmp/x").stdout == b"x\n"


@needs_sandbox
def test_there_is_no_network() -> None:
    script = """
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_STREAM if family != socket.AF_NETLINK else socket.SOCK_RAW)
        print("made", family)
    except OSError as error:
        print("refused", error.errno)
socket.socketpair()
"""
    done = python(script)
    assert done.stdout.decode().split("\n")[:4] == ["refused 1"] * 4, done.stderr


@needs_sandbox
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("unshare", "libc.unshare(0x10000000)"),
        ("mount", "libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0)"),
        ("ptrace", "libc.ptrace(0, 0, 0, 0)"),
        ("clone into a new user namespace", "libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)"),
        ("bpf", "libc.syscall(321, 0, 0, 0)"),
        ("keyctl", "libc.syscall(250, 0, 0, 0, 0, 0)"),
    ],
)
def test_the_kernels_dangerous_calls_are_refused(name: str, call: str) -> None:
    if "syscall" in call and os.uname().machine != "x86_64":
        pytest.skip("call numbers of x86_64")
    done = python(f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint({call}, ctypes.get_errno())")
    assert done.stdout == b"-1 1\n", (name, done.stderr)


@needs_sandbox
def test_sleeping_is_ended_by_the_wall_limit() -> None:
    done = shell("sleep 100", Limits(wall_s=0.4))
    assert done.killed_by == "wall"
    assert done.rc != 0
    assert done.wall_s < 5


@needs_sandbox
def test_spinning_is_ended_by_the_cpu_limit() -> None:
    done = shell("while :; do :; done", Limits(wall_s=20, cpu_s=0.5))
    assert done.killed_by == "cpu"
    assert 0.4 < done.cpu_s < 3


@needs_sandbox
def test_a_memory_bomb_is_killed() -> None:
    done = python("x = bytearray(1000 << 20)\nprint('survived')", Limits(wall_s=10, memory_bytes=100 << 20))
    assert b"survived" not in done.stdout
    assert done.rc != 0
    if done.limited_by == "cgroup":
        assert done.killed_by == "memory"
        assert done.oom_kills >= 1


@needs_sandbox
@pytest.mark.usefixtures("without_cgroups")
def test_a_memory_bomb_is_stopped_without_cgroups_too(capsys: pytest.CaptureFixture[str]) -> None:
    sandbox._say_unlimited.cache_clear()  # pyright: ignore[reportPrivateUsage]
    done = python("x = bytearray(1000 << 20)\nprint('survived')", Limits(wall_s=10, memory_bytes=100 << 20))
    assert b"survived" not in done.stdout
    assert done.rc != 0
    assert done.limited_by == "rlimits"
    assert "no writable cgroup" in capsys.readouterr().err


@needs_sandbox
@pytest.mark.usefixtures("without_cgroups")
def test_many_small_hoarders_are_stopped_without_cgroups() -> None:
    script = """
import os, time
for _ in range(6):
    if not os.fork():
        x = bytearray(b"x") * (60 << 20)
        time.sleep(8)
        os._exit(0)
time.sleep(8)
print("survived")
"""
    done = python(script, Limits(wall_s=10, memory_bytes=150 << 20))
    assert done.killed_by == "memory"
    assert b"survived" not in done.stdout


@needs_sandbox
def test_a_fork_bomb_ends_and_leaves_nothing() -> None:
    script = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    done = python(script, Limits(wall_s=1, processes=40))
    assert done.killed_by in ("wall", "cpu")
    assert done.wall_s < 10


@needs_sandbox
def test_a_full_disk_is_the_programs_own_problem() -> None:
    done = shell("head -c 50000000 /dev/zero > /tmp/a || head -c 50000000 /dev/zero > /tmp/b; du -sk /tmp | cut -f1")
    assert int(done.stdout) <= (8 << 20) // 1024
    shared = shell("head -c 50000000 /dev/zero > /dev/shm/a; du -sk /dev/shm | cut -f1")
    assert int(shared.stdout) <= (16 << 20) // 1024


@needs_sandbox
@pytest.mark.parametrize("stream", ["", ">&2"])
def test_an_output_flood_is_cut(stream: str) -> None:
    done = shell(f"yes {stream}", Limits(wall_s=10, output_bytes=50_000))
    assert done.killed_by == "output"
    assert max(len(done.stdout), len(done.stderr)) == 50_000


@needs_sandbox
def test_a_daemon_dies_with_the_sandbox() -> None:
    mark = f"6{os.getpid()}.5"
    done = shell(f"(setsid sleep {mark} >/dev/null 2>&1 &) ; sleep 0.1; echo done")
    assert done.stdout == b"done\n"
    assert done.wall_s < 4
    deadline = time.monotonic() + 3
    while mark in _commands() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark not in _commands()


def _commands() -> str:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


@needs_sandbox
@pytest.mark.parametrize("alive_s", [0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.5])
@pytest.mark.parametrize("bounded", [True, False])
def test_the_sandbox_dies_with_its_maker_whenever_that_is_killed(tmp_path: Path, bounded: bool, alive_s: float) -> None:
    mark = f"7{os.getpid()}.5"
    code = "from parallel_mining import sandbox\nsandbox.ready()\n"
    code += "" if bounded else "sandbox._make_cgroup = lambda *_: None\n"
    code += f"print('on', flush=True)\nsandbox.run(['/bin/sleep', '{mark}'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as maker:
        assert maker.stdout is not None
        maker.stdout.readline()
        time.sleep(alive_s)
        maker.kill()

    def left() -> list[object]:
        groups = [path for path in Path("/sys/fs/cgroup").glob(f"**/polymix-{maker.pid}-*") if path.is_dir()]
        return [*groups, *tmp_path.iterdir(), *(line for line in _commands().splitlines() if f"sleep {mark}" in line)]

    deadline = time.monotonic() + 10
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left() == []


@needs_sandbox
def test_no_cgroup_and_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shell("true")
    shell("sleep 9", Limits(wall_s=0.2))
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"**/polymix-{os.getpid()}-*") if path.is_dir()]


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
@needs_sandbox
def test_files_stay_in_their_folder(name: str) -> None:
    with pytest.raises(ValueError, match="below the job's folder"):
        shell("true", files={name: b""})


@needs_sandbox
@pytest.mark.parametrize("bind", ["relative", "/no/such/place"])
def test_a_bind_must_exist(bind: str) -> None:
    with pytest.raises(ValueError, match="absolute path that exists"):
        shell("true", binds=[bind])


@needs_sandbox
def test_what_is_bound_from_below_tmp_is_shown_and_cannot_be_written() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "tool").write_text("shown")
        done = shell(f"cat {folder}/tool; echo x > /tmp/own && cat /tmp/own; echo y > {folder}/tool", binds=[folder])
        assert done.stdout == b"shownx\n"
        assert done.rc != 0
        assert (Path(folder) / "tool").read_text() == "shown"


def test_a_machine_without_bubblewrap_runs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sandbox._launcher.cache_clear()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert "apt install bubblewrap" in sandbox.ready()
        with pytest.raises(Unsandboxed, match="bwrap"):
            run([sys.executable, "-c", "open('/tmp/was-run', 'w')"])
    finally:
        sandbox._launcher.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_namespaces_that_cannot_be_made_run_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("setpriv", "unshare"):
        (tmp_path / tool).symlink_to("/bin/false")
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    sandbox._launcher.cache_clear()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert "No permissions to create new namespace" in sandbox.ready()
    finally:
        sandbox._launcher.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_a_unified_hierarchy_gets_one_limited_folder(tmp_path: Path) -> None:
    here = tmp_path / "user" / "session"
    here.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "user", here):
        (folder / "cgroup.controllers").write_text("memory pids")
        (folder / "cgroup.subtree_control").write_text("")
    # Only the middle one hands its controllers down.
    (tmp_path / "user" / "cgroup.subtree_control").write_text("cpu memory pids")
    made = sandbox._make_cgroup(Limits(memory_bytes=1000, processes=7), tmp_path, {"": "/user/session"})  # pyright: ignore[reportPrivateUsage]
    assert made is not None
    (folder,) = made.folders.values()
    assert folder.parent == tmp_path / "user"
    assert (folder / "memory.max").read_text() == "1000"
    assert (folder / "pids.max").read_text() == "7"


def test_a_hierarchy_without_controllers_gives_no_cgroup(tmp_path: Path) -> None:
    assert sandbox._make_cgroup(Limits(), tmp_path, {}) is None  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "cgroup.controllers").write_text("hugetlb")
    (tmp_path / "cgroup.subtree_control").write_text("hugetlb")
    assert sandbox._make_cgroup(Limits(), tmp_path, {}) is None  # pyright: ignore[reportPrivateUsage]
