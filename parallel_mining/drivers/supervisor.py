"""Runs inside the sandbox: builds a batch of programs, then calls each on its cases, whatever they do to their process.

The host starts it as a script with nothing but the standard library beside it; nothing imports it. It reads
`/job/settings.json` and `/job/cases/<k>` (a line a case: the list of arguments in the wire form of `values`), and
writes to stdout, a line each, for the host:

    X k HEX          program k is broken: the message, UTF-8 in hexadecimal
    U k HEX          program k is unsupported
    R run k c S DATA case c: S is v (a value, wire form), e (exception), u (unrepresentable), m (memory), t (timeout),
                     c (crash); all but v are followed by a message in hexadecimal
    H k              program k was given up because its calls hang
    F HEX            the build step failed as a whole
    C BUILD RUN      processor seconds used by the build and by the workers
    Z                done

A build step and a worker write to their descriptor 3, which no program knows of, so what a program prints harms
nobody. A build step writes `X k HEX` and `U k HEX` lines, and `Z` at its end. A worker gets a task file: `P k entry
types` opens a program, with the canonical types of its parameters (`;` between them) and of its result (after a `>`),
or `-`; `C c WIRE` is a call. It answers every `P` with `D k`, `X k HEX` or `U k HEX`, and every `C` with `R k c S
DATA`, in order. The supervisor knows what is due next, so a worker that dies or is silent too long costs the one item
that was due; a new worker goes on after it.

A whole program knows nothing of this: each call is a process of it, with the case's one argument on standard input, and
what it writes to standard output, as UTF-8, is the result (`p`). A status other than zero is an exception. Where there
is a warm worker, it is tried first on calm programs; the calls that it answers with `z`, or dies of, are done as said.
"""

import json
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = json.loads(Path("/job/settings.json").read_text())
STARTUP_S = 5.0
PATIENCE = 4
# In the first run, a call of a program of which one has hung gets so much of the time: most of what programs cost is
# waiting for the next. In a later run a call is one that has been seen to end, and gets twice the time.
HASTE = 0.5
OUT_OF_MEMORY = "ran out of memory"
TOO_LARGE = "a result that is too large"
PROTOCOL = 3
STDERR_KEPT = 2000
LINE_KEPT = 16 << 20
Todo = tuple[int, list[int]]
# A native worker that died is back in milliseconds, a JVM is not.
DEATHS = 60 if SETTINGS["alone"] else 12


def hexed(text: str) -> str:
    """Return text as the protocol carries it, cut to what a person would read."""
    return text.strip()[:2000].encode("utf-8", "backslashreplace").hex()


def tell(*fields: object) -> None:
    """Write one line to the host."""
    sys.stdout.write(" ".join(map(str, fields)) + "\n")
    sys.stdout.flush()


def used_by_others() -> float:
    """Return the processor seconds of all processes in the sandbox that live, but this one and init."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (1, os.getpid()):
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Silent(Exception):
    """Nothing came in time."""


class Process:
    """A child in a session of its own, with a pipe on its descriptor 3 to read lines from."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        out, inner = os.pipe()
        os.set_blocking(out, False)

        def prepare() -> None:
            # The kernel shall kill the worker, not us, when memory is short.
            Path("/proc/self/oom_score_adj").write_text("1000")
            os.dup2(inner, PROTOCOL)

        self.child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(PROTOCOL,),
            preexec_fn=prepare,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        os.close(inner)
        self.out = out
        assert self.child.stderr is not None
        self.errors = self.child.stderr
        os.set_blocking(self.errors.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(out, selectors.EVENT_READ)
        self.selector.register(self.errors, selectors.EVENT_READ)
        self.stderr = b""
        self.pending = bytearray()
        self.lines: list[str] = []
        self.ended = False
        self.flooded = False

    def line(self, seconds: float) -> str | None:
        """Return the next line, or None when it has ended; raise Silent when neither comes in time.

        What counts is processor time: on a busy machine, a worker that was not let run is given `PATIENCE` times as
        long.
        """
        began = time.monotonic()
        used = None
        while not self.lines:
            if self.ended:
                return None
            waited = time.monotonic() - began
            if used is None and waited > seconds / 2:
                used = used_by_others()
            if waited > seconds:
                spun = used_by_others() - (used or 0.0)
                if spun > 0.4 * seconds or waited > PATIENCE * seconds:
                    raise Silent
            self.read(0.05 if waited > seconds else min(seconds - waited + 0.001, 0.05))
        return self.lines.pop(0)

    def read(self, seconds: float) -> None:
        """Take in what has come; see whether it has ended even though a grandchild keeps the pipe open."""
        for key, _ in self.selector.select(seconds):
            chunk = os.read(key.fd, 1 << 16)
            if not chunk:
                self.selector.unregister(key.fileobj)
            elif key.fd == self.out:
                self.pending += chunk
                *complete, rest = self.pending.split(b"\n")
                self.lines += [bytes(line).decode("ascii", "replace") for line in complete]
                self.pending = bytearray(rest)
                if len(self.pending) > LINE_KEPT:
                    self.flooded = True
                    self.kill()
            else:
                self.keep(chunk)
        if not self.lines and (self.child.poll() is not None or self.out not in self.selector.get_map()):
            # What it wrote before it ended is still in the pipe.
            while self.out in self.selector.get_map():
                try:
                    chunk = os.read(self.out, 1 << 16)
                except BlockingIOError:
                    break
                if not chunk:
                    break
                self.pending += chunk
            *complete, _ = self.pending.split(b"\n")
            self.lines += [bytes(line).decode("ascii", "replace") for line in complete]
            self.pending = bytearray()
            self.ended = True

    def keep(self, chunk: bytes) -> None:
        """Keep the beginning and the end of what it says: runtimes give the reason first or last."""
        self.stderr += chunk
        if len(self.stderr) > 2 * STDERR_KEPT:
            self.stderr = self.stderr[:STDERR_KEPT] + b"\n" + self.stderr[-STDERR_KEPT:]

    def kill(self) -> None:
        """Kill it and everything else in the sandbox except init and this process."""
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)

    def finish(self) -> tuple[int, str]:
        """Kill what is left of it and return its exit status (negative: a signal), and the end of its stderr."""
        gone = self.child.poll() is not None
        if not gone and self.ended:
            try:
                self.child.wait(1)
                gone = True
            except subprocess.TimeoutExpired:
                pass
        self.kill()
        status = self.child.wait()
        self.selector.close()
        if gone:
            while True:
                try:
                    chunk = os.read(self.errors.fileno(), 1 << 16)
                except BlockingIOError:
                    break
                if not chunk:
                    break
                self.keep(chunk)
        os.close(self.out)
        self.errors.close()
        return status, self.stderr.decode("utf-8", "replace")


def cpu() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build() -> set[int] | None:
    """Run the build step; return the programs that failed, or None if the step itself did."""
    failed: set[int] = set()
    process = Process(SETTINGS["build"], SETTINGS["environment"])
    try:
        while (line := process.line(SETTINGS["build_s"])) is not None:
            if line == "Z":
                process.finish()
                return failed
            kind, k, message = line.split(" ")
            failed.add(int(k))
            tell(kind, k, message)
        status, stderr = process.finish()
        tell("F", hexed(f"the build step ended with status {status}: {stderr}"))
    except Silent:
        process.finish()
        tell("F", hexed(f"the build step took longer than {SETTINGS['build_s']} s"))
    return None


MEMORY = re.compile(r"out ?of ?memory|MemoryError|memory allocation of", re.IGNORECASE)


def printed(argv: list[str], environment: dict[str, str], wire: str) -> tuple[str, str]:
    """Run a whole program once; return the outcome's letter and its data, or what there is to say.

    Args:
        argv: It.
        environment: Its variables.
        wire: The list of its one argument, a text, in the wire form.
    """
    given = os.memfd_create("stdin")
    text = re.fullmatch(r"\[s((?:[0-9a-f]{2})*);\]", wire)
    if not text:
        os.close(given)
        return "u", "standard input is one text that UTF-8 can say"
    os.write(given, bytes.fromhex(text[1]))
    os.lseek(given, 0, os.SEEK_SET)
    child = subprocess.Popen(
        argv,
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: Path("/proc/self/oom_score_adj").write_text("1000") and None,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    os.close(given)
    assert child.stdout is not None
    assert child.stderr is not None
    kept = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    ended = os.pidfd_open(child.pid)
    selector = selectors.DefaultSelector()
    for fd in (*kept, ended):
        selector.register(fd, selectors.EVENT_READ)
    began, used, hung = time.monotonic(), None, ""
    seconds, room = SETTINGS["case_s"], SETTINGS["result_bytes"] // 2
    out, errors = kept.values()
    while ended in selector.get_map() and len(out) <= room:
        waited = time.monotonic() - began
        if used is None and waited > seconds / 2:
            used = used_by_others()
        if waited > seconds and (used_by_others() - (used or 0.0) > 0.4 * seconds or waited > PATIENCE * seconds):
            hung = f"took longer than {seconds:g} s"
            break
        for key, _ in selector.select(0.05 if waited > seconds else min(seconds - waited + 0.001, 0.05)):
            take(selector, key.fd, kept)
        # Runtimes give the reason first or last.
        del errors[STDERR_KEPT:-STDERR_KEPT]
    status = child.poll()
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    child.wait()
    # What it wrote before it ended is still in the pipes.
    while not hung and len(out) <= room and set(kept) & set(selector.get_map()):
        for key, _ in selector.select():
            take(selector, key.fd, kept)
    selector.close()
    os.close(ended)
    child.stdout.close()
    child.stderr.close()
    return came_to(status, bytes(out), errors.decode("utf-8", "replace"), hung, room)


def take(selector: selectors.BaseSelector, fd: int, kept: dict[int, bytearray]) -> None:
    """Take what there is to read, or note that there is no more."""
    chunk = os.read(fd, 1 << 16) if fd in kept else b""
    if chunk:
        kept[fd] += chunk
    else:
        selector.unregister(fd)


def came_to(status: int | None, out: bytes, errors: str, hung: str, room: int) -> tuple[str, str]:
    """Return the outcome of a whole program's call."""
    if hung:
        return "t", hung
    if len(out) > room:
        return "u", TOO_LARGE
    if status == 0:
        try:
            out.decode()
        except UnicodeDecodeError as error:
            return "u", f"what it printed is not UTF-8 ({error})"
        return "v", f"p{out.hex()};"
    words = [line.strip()[:300] for line in errors.splitlines() if line.strip()]
    why = f"status {status}: {'; '.join(words if len(words) < 4 else [*words[:2], words[-1]])}"
    if status == -signal.SIGKILL or MEMORY.search(errors):
        return "m", OUT_OF_MEMORY
    return ("c" if status is None or status < 0 else "e"), why


class Batch:
    """What is still to be done, and what every program has cost so far."""

    def __init__(self, failed: set[int]) -> None:
        self.gone = set(failed)
        self.hangs: dict[int, int] = {}
        self.deaths: dict[int, int] = {}
        self.timed_out: set[tuple[int, int]] = set()
        self.odd: set[tuple[int, int]] = set()
        self.cases: dict[int, list[str]] = {}
        for k in SETTINGS["programs"]:
            self.cases[k] = Path(f"/job/cases/{k}").read_text().splitlines()

    def fail(self, kind: str, k: int, message: str) -> None:
        """Report a program that cannot be run, and drop it."""
        self.gone.add(k)
        tell(kind, k, hexed(message))

    def run(self, number: int) -> None:
        """Run every program that is left once."""
        todo: list[Todo] = []
        for k, cases in self.cases.items():
            if k in self.gone:
                continue
            order = [c for c in range(len(cases)) if (k, c) not in self.timed_out]
            # State that a call leaves behind shows when the calls come in another order.
            todo.append((k, order[::-1] if number % 2 else order))
        if SETTINGS["whole"]:
            self.work(number, [item for item in todo if item[0] in SETTINGS["calm"]])
            for k, order in todo:
                self.whole(number, k, [c for c in order if k not in SETTINGS["calm"] or (k, c) in self.odd])
            self.odd = set()
            todo = []
        if SETTINGS["alone"]:
            for item in todo:
                self.work(number, [item])
        else:
            self.work(number, todo)
        for k, c in sorted(self.timed_out):
            if number and k not in self.gone:
                tell("R", number, k, c, "t", hexed("timed out in the first run"))

    def whole(self, number: int, k: int, order: list[int]) -> None:
        """Run a whole program on cases, a process each."""
        if k in self.gone:
            return
        argv = [part.replace("{k}", str(k)) for part in SETTINGS["worker"]]
        environment = {**SETTINGS["environment"], "PYTHONHASHSEED": str(number + 1)}
        for c in order:
            letter, data = printed(argv, environment, self.cases[k][c])
            if letter == "t":
                self.strike(number, k, c, True, data)
                if k in self.gone:
                    return
            else:
                tell("R", number, k, c, letter, data if letter == "v" else hexed(data))

    def work(self, number: int, todo: list[Todo]) -> None:
        """Have workers go through programs and their cases until nothing is left to do."""
        while todo := [(k, cases) for k, cases in todo if k not in self.gone]:
            tasks = Path("/tmp/tasks")
            with tasks.open("w") as file:
                for k, cases in todo:
                    file.write(f"P {k} {SETTINGS['entries'][str(k)]} {SETTINGS['types'][str(k)]}\n")
                    file.writelines(f"C {c} {self.cases[k][c]}\n" for c in cases)
            argv = [*(SETTINGS["warm"] or SETTINGS["worker"]), str(tasks)]
            environment = {**SETTINGS["environment"], "PYTHONHASHSEED": str(number + 1)}
            if SETTINGS["alone"]:
                argv += [str(todo[0][0])]
            todo = self.follow(number, Process(argv, environment), todo)

    def follow(self, number: int, worker: Process, todo: list[Todo]) -> list[Todo]:
        """Follow one worker to its end; return what it left undone."""
        patience = STARTUP_S
        for place, (k, cases) in enumerate(todo):
            rest = todo[place + 1 :]
            line = self.next(worker, patience + SETTINGS["load_s"])
            patience = 0
            if isinstance(line, tuple):
                hung, why = line
                self.fail(
                    "X", k, f"loading it took longer than {SETTINGS['load_s']} s" if hung else f"loading it {why}"
                )
                return rest
            kind, _, message = (line + "  ").split(" ")[:3]
            if kind in "XU":
                self.fail(kind, k, bytes.fromhex(message).decode("utf-8", "replace"))
                continue
            for done, c in enumerate(cases):
                hurried = k in self.hangs and not SETTINGS["whole"]
                line = self.next(worker, SETTINGS["case_s"] * (2 if number else HASTE if hurried else 1))
                if isinstance(line, str):
                    self.pass_on(number, line)
                    continue
                self.strike(number, k, c, *line)
                return [(k, cases[done + 1 :]), *rest] if cases[done + 1 :] else rest
        worker.finish()
        return []

    def pass_on(self, number: int, line: str) -> None:
        """Report a result, unless it is too large to be of use."""
        _, k, c, outcome = line.split(" ", 3)
        if outcome[0] == "z":
            self.odd.add((int(k), int(c)))
            return
        tell("R", number, k, c, outcome if len(outcome) <= SETTINGS["result_bytes"] else f"u {hexed(TOO_LARGE)}")

    def next(self, worker: Process, seconds: float) -> str | tuple[bool, str]:
        """Return the worker's next line, or whether it hung and how it ended, in words and as an outcome."""
        try:
            line = worker.line(seconds)
        except Silent:
            worker.finish()
            return True, f"took longer than {seconds:g} s"
        if line is not None and line[:2] in ("D ", "X ", "U ", "R "):
            return line
        status, stderr = worker.finish()
        if worker.flooded:
            return False, TOO_LARGE
        status = 128 - status if status < 0 else status
        if status == 128 + signal.SIGKILL or "out of memory" in stderr or "memory allocation of" in stderr:
            return False, OUT_OF_MEMORY
        words = stderr.strip().splitlines()
        last = words[-1] if words else "no message"
        told = next((w for w in words if w.startswith(("fatal", "thread", "panic", "runtime:", "Stack"))), last)
        return False, f"ended its process with status {status}: {told}"

    def strike(self, number: int, k: int, c: int, hung: bool, why: str) -> None:
        """Report a case that hung or killed its worker, and give the program up when it does so too often."""
        if hung:
            tell("R", number, k, c, "t", hexed(why))
            self.timed_out.add((k, c))
            self.hangs[k] = self.hangs.get(k, 0) + 1
            if self.hangs[k] > SETTINGS["hangs"]:
                self.gone.add(k)
                tell("H", k)
            return
        if SETTINGS["whole"]:
            self.odd.add((k, c))
            return
        tell("R", number, k, c, {OUT_OF_MEMORY: "m", TOO_LARGE: "u"}.get(why, "c"), hexed(why))
        self.deaths[k] = self.deaths.get(k, 0) + 1
        if self.deaths[k] > DEATHS:
            self.fail("X", k, f"its calls killed the process {self.deaths[k]} times; the last one {why}")


def main() -> None:
    """Build, run, report."""
    # Nothing else may get this number: a child's end of its pipe is moved onto it.
    os.dup2(os.open("/dev/null", os.O_RDONLY), PROTOCOL)
    failed = build() if SETTINGS["build"] else set[int]()
    built = cpu()
    if failed is not None:
        batch = Batch(failed)
        for number in range(SETTINGS["runs"]):
            batch.run(number)
    tell("C", f"{built:.4f}", f"{cpu() - built:.4f}")
    tell("Z")


main()
