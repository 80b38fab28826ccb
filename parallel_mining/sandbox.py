"""The only place where untrusted programs run: no network, no host files, no privileges, and bounded in every resource.

Start at `run`. `ready` says whether this machine can do it. Bubblewrap gives the program its own mounts, processes,
network, users and host name; a seccomp filter takes the kernel's dangerous calls away; a cgroup (v1 or v2) bounds
memory and processes. What always holds:

- nothing runs outside the sandbox: where it cannot be made, `Unsandboxed` says what to install, and nothing is run;
- the host never writes into a place the program can write, and takes nothing from it but two capped byte streams;
- when `run` returns, every process that the program started is dead.

Where no cgroup can be written, limits fall back to rlimits and a watch over the processes' memory, which is said once
on stderr and recorded in `Completed.limited_by`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast

from quality.progress import say

KilledBy = Literal["", "wall", "cpu", "memory", "output"]

# The kernel's ids for "nobody" and "nogroup", the same on every distribution.
NOBODY = 65534
_TICK_S = 0.05
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_INSTALL = "install bubblewrap, util-linux and libseccomp2 (Debian: apt install bubblewrap util-linux libseccomp2)"


class Unsandboxed(RuntimeError):
    """This machine cannot make the sandbox; nothing was run."""


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use, all its processes together.

    Args:
        wall_s: Seconds from start to end.
        cpu_s: Seconds of processor time.
        memory_bytes: Memory, with what lies in `/tmp`.
        processes: Processes and threads at a time. A JVM alone needs about 30.
        scratch_bytes: Size of `/tmp`, the only place the program can write.
        output_bytes: Bytes of stdout, and as many of stderr.
    """

    wall_s: float = 60.0
    cpu_s: float = 120.0
    memory_bytes: int = 1 << 30
    processes: int = 256
    scratch_bytes: int = 256 << 20
    output_bytes: int = 16 << 20


@dataclass(frozen=True)
class Completed:
    """What came of one run.

    Args:
        rc: Exit status; negative or above 128 where a signal ended it.
        stdout: At most `Limits.output_bytes`.
        stderr: At most `Limits.output_bytes`.
        wall_s: Seconds from start to end.
        cpu_s: Seconds of processor time; without a cgroup, what was seen at the last look.
        killed_by: The limit that ended it, or empty.
        oom_kills: Processes that the memory limit killed, whether or not the first process lived on.
        limited_by: `cgroup`, or `rlimits` where no cgroup could be written.
    """

    rc: int
    stdout: bytes
    stderr: bytes
    wall_s: float
    cpu_s: float
    killed_by: KilledBy
    oom_kills: int
    limited_by: Literal["cgroup", "rlimits"]


def ready() -> str:
    """Return why untrusted programs cannot run on this machine, or an empty text where they can."""
    try:
        _launcher()
    except Unsandboxed as error:
        return str(error)
    return ""


def run(
    argv: Sequence[str],
    *,
    files: Mapping[str, bytes] | None = None,
    stdin: bytes = b"",
    limits: Limits | None = None,
    binds: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run one program in a fresh sandbox and wait until it and all its children are gone.

    Args:
        argv: The program, by a path inside the sandbox, and its arguments. It starts in `/tmp`, which is empty.
        files: Relative path to content, shown read-only below `/job`.
        stdin: What it can read.
        limits: What it may use.
        binds: Absolute host paths outside `/usr` to show, read-only, at the same place.
        environment: Variables beside PATH, HOME, TMPDIR and LANG.

    Raises:
        Unsandboxed: The sandbox cannot be made here.
        ValueError: A file's name is absolute or leaves its folder, or a bind is not an absolute path that exists.
    """
    limits = limits or Limits()
    launcher = _launcher()
    _check(files or {}, binds)
    _reaped()
    with tempfile.TemporaryDirectory(prefix=f"{_name()}job-") as parent, _place() as place, _cgroup(limits) as group:
        job = Path(parent, "job")
        _lay_out(job, files or {})
        with _sealed("stdin", stdin) as given, _sealed("seccomp", _filter()) as seccomp:
            inner = _inner(argv, limits, launcher, bounded=group is not None)
            command = _bubblewrap(launcher, job, limits, binds, environment or {}, seccomp.fileno())
            # With the signal that is asked for first, there is no moment when this process may die and the rest lives.
            script = f'[ "$PPID" -eq {os.getpid()} ] || exit 125; '
            for path in group.joins if group else ():
                script += f"echo $$ > {shlex.quote(str(path))} || exit 125; "
            start = ["setpriv", "--pdeathsig", "KILL", "/bin/sh", "-c", f'{script} exec "$@"', "sh"]
            return _supervise(
                [*start, *_rebased(launcher, place), *command, *inner],
                given,
                seccomp.fileno(),
                limits,
                group,
            )


def _check(files: Mapping[str, bytes], binds: Sequence[str]) -> None:
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(f"file {name!r}: use a path below the job's folder, without `..`")
    for bind in binds:
        if not bind.startswith("/") or not Path(bind).exists():
            raise ValueError(f"bind {bind!r}: use an absolute path that exists")


def _lay_out(job: Path, files: Mapping[str, bytes]) -> None:
    # Readable for the unprivileged user inside; on the host the folder above is closed to others.
    job.mkdir(mode=0o755)
    for name, content in files.items():
        path = job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path in (job, *job.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@contextmanager
def _sealed(name: str, content: bytes) -> Iterator[IO[bytes]]:
    """Give bytes as a file in memory that nobody can change any more, positioned at its start."""
    with os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b") as file:
        file.write(content)
        file.flush()
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield file


# What outlives this process ----------------------------------------------------------------------------------


_token = secrets.token_hex(4)


def _name() -> str:
    """Return what the names of this process's cgroups and temporary folders begin with.

    A number may be another process's later, and a fork has its maker's token.
    """
    return f"polymix-{os.getpid()}-{_token}-"


def _reaped() -> None:
    """Have what this process leaves behind taken away, should it be killed."""
    _start_reaper(os.getpid(), tempfile.gettempdir())


@cache
def _start_reaper(maker: int, temporary: str) -> None:
    script = Path(__file__).with_name("reaper.py")
    folders = [str(folder) for folder in _cgroup_parents(_CGROUP_ROOT, _own_cgroups())]
    silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    # Its end is nobody's to wait for: it lives as long as this process does.
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", str(script), str(maker), _name(), *folders, "--", temporary],
        {},
        file_actions=silent,
        setsid=True,
    )


# How to start -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Launcher:
    """How bubblewrap works for this user on this machine.

    Args:
        root: Real root: no user namespace; the program's user is changed by `setpriv`, so that it owns nothing at all.
        rebase: `/` is a chroot and no mount point, which `pivot_root` needs: enter a bind mount of it first. Only where
            that mount stays in the namespace that it is made in.
    """

    root: bool
    rebase: bool


@cache
def _launcher() -> _Launcher:
    missing = [tool for tool in ("bwrap", "setpriv", "unshare") if not shutil.which(tool)]
    if missing:
        raise Unsandboxed(f"untrusted programs cannot run here: {', '.join(missing)} not found; {_INSTALL}")
    _filter()
    ways = [_Launcher(root=False, rebase=False)]
    if os.geteuid() == 0:
        ways = [_Launcher(root=True, rebase=False), _Launcher(root=True, rebase=True), *ways]
    why = ""
    for way in ways:
        if way.rebase and _mounts_leak():
            why += "; / is a chroot on a mount that is shared with others: bind-mount it on itself before the chroot"
            continue
        with (
            tempfile.TemporaryDirectory(prefix=f"{_name()}job-") as parent,
            _place() as place,
            _sealed("seccomp", _filter()) as seccomp,
        ):
            job = Path(parent, "job")
            _lay_out(job, {})
            command = [
                *_rebased(way, place),
                *_bubblewrap(way, job, Limits(), (), {}, seccomp.fileno()),
                *_inner(["/bin/true"], Limits(), way, bounded=True),
            ]
            tried = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=(seccomp.fileno(),), cwd="/"
            )
        if tried.returncode == 0:
            return way
        why = why or tried.stderr.decode(errors="replace").strip().splitlines()[-1:][0] if tried.stderr else why
    raise Unsandboxed(
        f"untrusted programs cannot run here: bubblewrap cannot make its namespaces ({why or 'it gave no reason'});"
        " run as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
    )


@contextmanager
def _place() -> Iterator[Path]:
    """Give an empty folder to mount on; it is taken away by `rmdir` alone, which can never reach into a mount."""
    place = Path(tempfile.mkdtemp(prefix=f"{_name()}root-"))
    try:
        yield place
    finally:
        place.rmdir()


_MOUNT = ("unshare", "--mount", "--propagation", "unchanged", "/bin/sh", "-c")


def _mounts_leak() -> bool:
    """Say whether a mount made in a new mount namespace would be seen outside it."""
    with _place() as place:
        # The command's own view ends with it; what is still there afterwards has leaked.
        path = shlex.quote(str(place))
        subprocess.run([*_MOUNT, f"mount -t tmpfs polymix {path}"], stdin=subprocess.DEVNULL, capture_output=True)
        leaked = os.path.ismount(place)
        if leaked:
            subprocess.run(["umount", str(place)], stdin=subprocess.DEVNULL, capture_output=True)
        return leaked


def _rebased(launcher: _Launcher, place: Path) -> list[str]:
    if not launcher.rebase:
        return []
    root = shlex.quote(str(place))
    script = (
        "test -e /proc/self/status || mount -t proc proc /proc || exit 125; "
        f'mount --rbind / {root} && exec chroot {root} "$@"'
    )
    return [*_MOUNT, script, "sh"]


def _bubblewrap(
    launcher: _Launcher,
    job: Path,
    limits: Limits,
    binds: Sequence[str],
    environment: Mapping[str, str],
    seccomp: int,
) -> list[str]:
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if launcher.root:
        # Just enough for `setpriv` to give up root; it gives these up too.
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        command += ["--cap-add", "CAP_SETPCAP"]
    else:
        command += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL"]
    command += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--clearenv"]
    command += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            command += ["--ro-bind", str(path), str(path)]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--perms", "1777", "--size", str(16 << 20), "--tmpfs", "/dev/shm"]
    command += ["--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp"]
    # After /tmp, which would hide what is to be shown from below it (a checkout that lies there).
    shown = [path for path in ("/etc/ld.so.cache", "/etc/alternatives", *binds) if Path(path).exists()]
    # Bubblewrap makes missing folders closed to others, so that nobody could pass through them.
    above = {str(folder) for path in shown for folder in Path(path).parents if folder != Path("/")}
    for folder in sorted(above):
        command += ["--perms", "0755", "--dir", folder]
    for path in shown:
        command += ["--ro-bind", path, path]
    command += ["--ro-bind", str(job), "/job", "--remount-ro", "/", "--chdir", "/tmp", "--seccomp", str(seccomp)]
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", **environment}
    for name, value in variables.items():
        command += ["--setenv", name, value]
    return [*command, "--"]


def _inner(argv: Sequence[str], limits: Limits, launcher: _Launcher, *, bounded: bool) -> list[str]:
    """Return the argument vector that gives up root and sets rlimits before it becomes the program."""
    rlimits = ["ulimit -c 0", "ulimit -n 1024", f"ulimit -t {max(1, round(limits.cpu_s))}"]
    rlimits.append(f"ulimit -f {max(1, limits.scratch_bytes // 512)}")
    if not bounded:
        # RLIMIT_DATA counts what is really writable, unlike RLIMIT_AS, which a JVM's or Node's reservations exceed.
        rlimits += [f"ulimit -d {limits.memory_bytes // 1024}", f"ulimit -p {limits.processes}"]
    command: list[str] = []
    if launcher.root:
        command = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs"]
        command += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    return [*command, "/bin/sh", "-c", " && ".join(rlimits) + ' && exec "$@"', "sh", *argv]


# What the kernel refuses ------------------------------------------------------------------------------------

# Calls that reach other processes, mounts, namespaces, modules, clocks, keys or the kernel's larger attack surfaces.
_DENIED = """
    mount umount2 pivot_root mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick chroot
    unshare setns ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    keyctl add_key request_key kexec_load kexec_file_load init_module finit_module delete_module
    reboot swapon swapoff acct quotactl quotactl_fd syslog nfsservctl lookup_dcookie vhangup
    settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname iopl ioperm modify_ldt
    open_by_handle_at name_to_handle_at move_pages migrate_pages mbind set_mempolicy personality fanotify_init
"""
# Source: linux/sched.h, CLONE_NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWNS, NEWTIME.
_NEW_NAMESPACES = (0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00020000, 0x00000080)
_AF_UNIX = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


@cache
def _filter() -> bytes:
    """Return the seccomp program (BPF): allow, except what no mined function needs.

    Raises:
        Unsandboxed: libseccomp is missing.
    """
    try:
        import pyseccomp
    except (RuntimeError, ImportError) as error:
        raise Unsandboxed(f"untrusted programs cannot run here: {error}; {_INSTALL} and `polymix[mining]`") from error
    import errno

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in _DENIED.split():
        # An older libseccomp does not know the newest calls, and an architecture may lack the oldest.
        with suppress(OSError, ValueError):
            rules.add_rule(refuse, name)
    # clone3 hides its flags from the filter; ENOSYS makes the C library fall back to clone, whose flags are seen.
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    for flag in _NEW_NAMESPACES[:-1]:
        rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    rules.add_rule(refuse, "socket", pyseccomp.Arg(0, pyseccomp.NE, _AF_UNIX))
    for request in (_TIOCSTI, _TIOCLINUX):
        rules.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, request))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


# Cgroups ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cgroup:
    """A cgroup made for one sandbox: one folder under v2, one a controller under v1.

    Args:
        folders: Controller (`memory`, `pids`, `cpuacct`, or `unified` for v2) to folder.
    """

    folders: Mapping[str, Path]

    @property
    def joins(self) -> list[Path]:
        return [folder / "cgroup.procs" for folder in self.folders.values()]

    def cpu_s(self) -> float:
        if "unified" in self.folders:
            for line in (self.folders["unified"] / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
            return 0.0
        if "cpuacct" not in self.folders:
            return 0.0
        return int((self.folders["cpuacct"] / "cpuacct.usage").read_text()) / 1e9

    def oom_kills(self) -> int:
        folder, name = self.folders.get("unified"), "memory.events"
        if folder is None:
            folder, name = self.folders["memory"], "memory.oom_control"
        for line in (folder / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def kill(self) -> None:
        """Kill every process in it; again until none is left, as a fork may race with the list."""
        for _ in range(100):
            pids = {int(pid) for join in self.joins for pid in join.read_text().split()}
            if not pids:
                return
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def remove(self) -> None:
        """Take it away, and what callers that were killed left beside it."""
        for folder in self.folders.values():
            for other in folder.parent.glob("polymix-*-*"):
                if not Path("/proc", other.name.split("-")[1]).exists():
                    with suppress(OSError):
                        other.rmdir()
            for _ in range(100):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)


_numbers = itertools.count()


def _own_cgroups() -> dict[str, str]:
    """Return this process's cgroup by controller; v2's has the empty name."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    own: dict[str, str] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    return own


_CONTROLLERS = ("memory", "pids", "cpuacct")


def _cgroup_parents(root: Path, own: Mapping[str, str]) -> list[Path]:
    """Return where below the hierarchy at `root` a cgroup of this process may come to lie."""
    if (root / "memory").is_dir():
        return [_cgroup_v1_parent(root, controller, own) for controller in _CONTROLLERS]
    return list(_cgroup_v2_parents(root, own))


def _cgroup_v1_parent(root: Path, controller: str, own: Mapping[str, str]) -> Path:
    above = root / controller / own.get(controller, "/").lstrip("/")
    return above if above.is_dir() else root / controller


def _cgroup_v2_parents(root: Path, own: Mapping[str, str]) -> Iterator[Path]:
    here = root / own.get("", "/").lstrip("/")
    for above in (here, here.parent, root):
        enabled = above / "cgroup.subtree_control"
        if enabled.is_file() and {"memory", "pids"} <= set(enabled.read_text().split()):
            yield above


def _make_cgroup(limits: Limits, root: Path, own: Mapping[str, str]) -> _Cgroup | None:
    """Make a limited cgroup below the hierarchy at `root`, or return None where that is not allowed."""
    name = f"{_name()}{next(_numbers)}"
    made: dict[str, Path] = {}
    try:
        if (root / "memory").is_dir():
            settings = {
                "memory": {"memory.limit_in_bytes": limits.memory_bytes},
                "pids": {"pids.max": limits.processes},
            }
            for controller in _CONTROLLERS:
                folder = _cgroup_v1_parent(root, controller, own) / name
                folder.mkdir()
                made[controller] = folder
                for file, value in settings.get(controller, {}).items():
                    (folder / file).write_text(str(value))
            swap = made["memory"] / "memory.memsw.limit_in_bytes"
            if swap.exists():
                swap.write_text(str(limits.memory_bytes))
            return _Cgroup(made)
        if not (root / "cgroup.controllers").is_file():
            return None
        for above in _cgroup_v2_parents(root, own):
            folder = above / name
            folder.mkdir()
            made["unified"] = folder
            (folder / "memory.max").write_text(str(limits.memory_bytes))
            (folder / "pids.max").write_text(str(limits.processes))
            if (folder / "memory.swap.max").exists():
                (folder / "memory.swap.max").write_text("0")
            return _Cgroup(made)
    except OSError:
        _Cgroup(made).remove()
    return None


@contextmanager
def _cgroup(limits: Limits) -> Iterator[_Cgroup | None]:
    group = _make_cgroup(limits, _CGROUP_ROOT, _own_cgroups())
    if group is None:
        _say_unlimited()
        yield None
        return
    try:
        yield group
    finally:
        group.kill()
        group.remove()


@cache
def _say_unlimited() -> None:
    say(
        "sandbox: no writable cgroup with memory and pids here; memory and processes are limited by rlimits and by"
        " watching, which a program can exceed for an instant"
    )


# Running ----------------------------------------------------------------------------------------------------


def _supervise(
    command: Sequence[str], given: IO[bytes], seccomp: int, limits: Limits, group: _Cgroup | None
) -> Completed:
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(seccomp,),
        start_new_session=True,
        cwd="/",
    )
    captured: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    killed_by: KilledBy = ""
    cpu_s = 0.0
    try:
        with selectors.DefaultSelector() as selector:
            for name in captured:
                stream = cast(IO[bytes], getattr(process, name))
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, name)
            next_look = began
            while selector.get_map() and not killed_by:
                for key, _ in selector.select(_TICK_S):
                    if not _take(key, captured, limits, selector):
                        killed_by = "output"
                now = time.monotonic()
                if killed_by or now < next_look:
                    continue
                next_look = now + _TICK_S
                if group is None:
                    seen_bytes, cpu_s = _watched(process.pid, cpu_s)
                    killed_by = "memory" if seen_bytes > limits.memory_bytes else killed_by
                else:
                    cpu_s = group.cpu_s()
                if now - began > limits.wall_s:
                    killed_by = "wall"
                elif cpu_s > limits.cpu_s:
                    killed_by = "cpu"
    finally:
        _end(process, group, patience_s=0 if killed_by else 0.5)
        for stream in (process.stdout, process.stderr):
            cast(IO[bytes], stream).close()
    oom_kills = group.oom_kills() if group else int(killed_by == "memory")
    if oom_kills and process.returncode != 0 and not killed_by:
        killed_by = "memory"
    return Completed(
        rc=process.returncode,
        stdout=bytes(captured["stdout"]),
        stderr=bytes(captured["stderr"]),
        wall_s=time.monotonic() - began,
        cpu_s=group.cpu_s() if group else cpu_s,
        killed_by=killed_by,
        oom_kills=oom_kills,
        limited_by="cgroup" if group else "rlimits",
    )


def _take(
    key: selectors.SelectorKey, captured: Mapping[str, bytearray], limits: Limits, selector: selectors.BaseSelector
) -> bool:
    """Read what is there; return whether the program keeps within its output limit."""
    chunk = os.read(key.fd, 1 << 16)
    if not chunk:
        selector.unregister(key.fileobj)
        return True
    buffer = captured[key.data]
    buffer += chunk
    if len(buffer) <= limits.output_bytes:
        return True
    del buffer[limits.output_bytes :]
    return False


def _end(process: subprocess.Popen[bytes], group: _Cgroup | None, patience_s: float) -> None:
    """Wait for the process a moment, then kill it; its namespaces take all that it started along."""
    if process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if group is not None:
        group.kill()
    process.wait()


def _watched(pid: int, cpu_s: float) -> tuple[int, float]:
    """Return what a process and all below it hold in memory, in bytes, and the processor seconds seen so far."""
    page, ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    facts: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        parents[int(entry.name)] = int(fields[1])
        facts[int(entry.name)] = (int(fields[21]) * page, sum(int(field) for field in fields[11:15]) / ticks)
    below = {pid}
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent in below} - below
        grown = bool(more)
        below |= more
    held = sum(facts[child][0] for child in below if child in facts)
    used = sum(facts[child][1] for child in below if child in facts)
    return held, max(cpu_s, used)
