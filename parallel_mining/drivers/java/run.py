"""How Java programs are run: compiled together, a package each, called by reflection in one JVM a run."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from parallel_mining import sandbox
from parallel_mining.drivers import Job, Toolchain, Unavailable, text_of
from parallel_mining.pairs import WHOLE, Program

BATCH = 256
# Started often and for a short time: the quick compiler, one thread for it and for the collector, no files for others.
_JVM = (
    "-XX:TieredStopAtLevel=1",
    "-XX:CICompilerCount=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Xss4m",
)
_MEMORY = ("-Xms64m", "-Xmx384m")
_UTF8 = tuple(f"-D{name}.encoding=UTF-8" for name in ("file", "sun.stdout", "sun.stderr", "stdout", "stderr"))
# What a program may do to its process, or see of it, that another call must not meet.
_ALONE = re.compile(
    r"\b(?:exit|halt|Thread\w*|Executor\w*|CompletableFuture|Timer|parallel\w*|FileDescriptor|console|Runtime|Process\w*"
    r"|setDefault|setProperty|setProperties|setIn|setOut|setErr|addShutdownHook)\b"
)


def toolchain() -> Toolchain | Unavailable:
    """Return the JDK that `javac` on the path belongs to."""
    install = "install a JDK 17 or newer (Debian: apt install openjdk-17-jdk-headless)"
    javac = shutil.which("javac")
    if not javac:
        return Unavailable("java", "no `javac` on the path", install)
    home = Path(javac).resolve().parent.parent
    java = home / "bin" / "java"
    version = re.match(r"javac (\d+)\S*", text_of(str(home / "bin" / "javac"), "-version"))
    if not version or int(version[1]) < 17 or not java.is_file():
        return Unavailable("java", f"{javac} is {version[0] if version else 'unusable'}", install)
    binds = () if home.is_relative_to("/usr") else (str(home),)
    # Debian keeps a JDK's settings outside it.
    settings = tuple(str(path) for path in Path("/etc").glob("java-*-openjdk") if path.is_dir())
    return Toolchain("java", version[0], {"java": str(java), "javac": str(home / "bin" / "javac")}, (*binds, *settings))


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    files = {f"programs/{k}.java": program.code.encode() for k, program in enumerate(programs)}
    files |= _harness(tools.tools["javac"], tools.binds)
    java = (tools.tools["java"], *_JVM, *_MEMORY, "-cp", "/job/harness", "Harness")
    return Job(files, java, (*java, "build"))


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs."""
    made = job(programs, tools)
    java = (tools.tools["java"], *_JVM, *_MEMORY, *_UTF8, "-cp", "/job/harness", "Harness", WHOLE, "{k}")
    warm = (*java[:-2], "warm")
    calm = frozenset(k for k, program in enumerate(programs) if not _ALONE.search(program.code))
    return replace(made, build=(*made.build, "whole"), worker=java, whole=True, warm=warm, calm=calm)


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    # `assert` does nothing in a JVM that was not told so.
    checked = re.sub(r"\bassert\s*\(", "PolymixTests.check(", tests)
    checked = _ENDS.sub(lambda end: f'System.out.println("{done}");\n{end[0]}', checked, count=1)
    tuples = _TUPLES if re.search(r"^\s*import\s+org\.javatuples\b", code, re.MULTILINE) else ""
    return f"{_TUPLES_IMPORT.sub('', code)}\n{checked}\n{_CHECK}{tuples}"


_ENDS = re.compile(r"\}\s*\}\s*\Z")
"""Of `main` and its class, with which tests end."""

_TUPLES_IMPORT = re.compile(r"^\s*import\s+org\.javatuples\.[\w.*]+;\s*$", re.MULTILINE)

_CHECK = """
class PolymixTests {
    static void check(boolean passed) {
        if (!passed) throw new AssertionError("a unit test failed");
    }
}
"""

_NAMES = ("Unit", "Pair", "Triplet", "Quartet", "Quintet", "Sextet", "Septet", "Octet", "Ennead", "Decade")


def _tuple_class(name: str, size: int) -> str:
    letters = [f"T{i}" for i in range(size)]
    generic = f"<{', '.join(letters)}>"
    taken = ", ".join(f"{letter} v{i}" for i, letter in enumerate(letters))
    given = ", ".join(f"v{i}" for i in range(size))
    getters = "".join(
        f"    public {letter} getValue{i}() {{ return v{i}; }}\n"
        f"    public {name}{generic} setAt{i}({letter} v) {{ return new {name}{generic}"
        f"({', '.join('v' if i == j else f'v{j}' for j in range(size))}); }}\n"
        for i, letter in enumerate(letters)
    )
    fields = "".join(f"    private final {letter} v{i};\n" for i, letter in enumerate(letters))
    return (
        f"class {name}{generic} {{\n{fields}"
        f"    public {name}({taken}) {{ {' '.join(f'this.v{i} = v{i};' for i in range(size))} }}\n"
        f"    public static {generic} {name}{generic} with({taken}) {{ return new {name}{generic}({given}); }}\n"
        f"{getters}"
        f"    public int getSize() {{ return {size}; }}\n"
        f"    private java.util.List<Object> all() {{ return java.util.Arrays.asList(new Object[] {{{given}}}); }}\n"
        "    public boolean equals(Object o) {\n"
        f"        return o instanceof {name} && all().equals((({name}<{', '.join('?' * size)}>) o).all());\n    }}\n"
        "    public int hashCode() { return all().hashCode(); }\n"
        "    public String toString() { return all().toString(); }\n}\n"
    )


_TUPLES = "\n" + "".join(_tuple_class(name, size) for size, name in enumerate(_NAMES, 1))
"""What published problems use of the library javatuples, which the JDK does not have."""


@cache
def _harness(javac: str, binds: tuple[str, ...]) -> Mapping[str, bytes]:
    """Return the compiled harness: compiled once a process, as it costs as much as a hundred programs."""
    source = (Path(__file__).parent / "Harness.java").read_bytes()
    quick = " ".join(f"-J{flag}" for flag in _JVM)
    script = f'"{javac}" {quick} -nowarn -proc:none -encoding UTF-8 -d /tmp/h /job/Harness.java && tar -C /tmp/h -c .'
    made = sandbox.run(["/bin/sh", "-c", script], files={"Harness.java": source}, binds=binds)
    if made.rc:
        raise RuntimeError(f"the Java harness does not compile: {made.stderr.decode(errors='replace')}")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        contents = {f"harness/{Path(member.name).name}": archive.extractfile(member) for member in members}
        return {name: file.read() for name, file in contents.items() if file}
