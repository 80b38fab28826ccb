"""Modern C#: what each version since 8 brought runs; where only the old compiler is there, it is taken and says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from parallel_mining import drivers, sandbox
from parallel_mining.drivers.csharp import run
from parallel_mining.execute import Execution, Unavailable, execute
from parallel_mining.pairs import Program
from parallel_mining.values import plain

pytestmark = pytest.mark.toolchain

# Each is called with 7 and returns what stands beside it.
PROBES: dict[str, tuple[str, object]] = {
    "local function": ("class A { static int F(int a) { int Twice(int b) => b * 2; return Twice(a); } }", 14),
    "static local function": (
        "class A { static int F(int a) { static int G(int b) { return b - 1; } return G(a); } }",
        6,
    ),
    "switch expression": (
        'class A { static string F(int a) => a switch { 0 => "no", > 5 => "big", _ => "small" }; }',
        "big",
    ),
    "property pattern": ("class A { static bool F(int a) => new string('x', a) is { Length: 7 }; }", True),
    "tuple pattern": ("class A { static int F(int a) => (a, a % 2) switch { (7, 1) => 1, _ => 0 }; }", 1),
    "relational and logical patterns": ("class A { static bool F(int a) => a is > 3 and not 5 or 1; }", True),
    "type pattern": (
        "class A { static int F(object a) => a switch { int n when n > 3 => n, string s => s.Length, _ => 0 }; }",
        7,
    ),
    "ranges and indices": (
        "class A { static int[] F(int a) { var r = new[] { 1, 2, 3, a }; return r[1..^1]; } }",
        [2, 3],
    ),
    "using declaration": (
        'using System.IO; class A { static int F(int a) { using var s = new StringReader(""); return a + s.Read(); } }',
        6,
    ),
    "null coalescing assignment": ("class A { static int F(int a) { int? n = null; n ??= a; return n.Value; } }", 7),
    "nullable annotations": (
        '#nullable enable\nclass A { static string? G(string? s) => s; static string F(int a) => G(null) ?? $"{a}"; }',
        "7",
    ),
    "default interface members": (
        "interface I { int G() => 3; } class B : I { } class A { static int F(int a) => ((I)new B()).G() + a; }",
        10,
    ),
    "record": (
        "record P(int X, int Y); class A { static bool F(int a) => new P(a, 1) == new P(1, 1) with { X = a }; }",
        True,
    ),
    "init accessor": (
        "class B { public int N { get; init; } } class A { static int F(int a) => new B { N = a }.N; }",
        7,
    ),
    "target-typed new": (
        "class B { public int N = 7; } class A { static int F(int a) { B b = new() { N = a + 1 }; return b.N; } }",
        8,
    ),
    "file-scoped namespace": ("using System;\nnamespace X.Y;\nclass A { static int F(int a) => Math.Abs(-a); }", 7),
    "global using": (
        "global using System.Numerics; class A { static BigInteger F(int a) => BigInteger.Pow(a, 30); }",
        7**30,
    ),
    "record struct": (
        "record struct P(int X); class A { static int F(int a) { var p = new P { X = a }; return p.X; } }",
        7,
    ),
    "lambda's natural type": ("class A { static int F(int a) { var f = (int n) => n + 1; return f(a); } }", 8),
    "constant interpolated text": (
        'class A { const string S = "a", T = $"{S}b"; static string F(int a) => T + a; }',
        "ab7",
    ),
    "deconstruction into a variable": (
        "class A { static int F(int a) { int x = 0; (x, int y) = (a, 2); return x * y; } }",
        14,
    ),
    "span": (
        "using System; class A { static int F(int a) { Span<int> s = stackalloc int[2]; s[1] = a; return s[^1]; } }",
        7,
    ),
    "implicit usings": ("class A { static int F(int a) => Enumerable.Range(1, a).Sum(); }", 28),
    "a hash": (
        "using System.Security.Cryptography; class A { static int F(int a) { using var h = SHA256.Create();"
        " return h.ComputeHash(new byte[a]).Length; } }",
        32,
    ),
}
BROKEN = {
    "syntax": ("class A {\n static int F(int a { return a; } }", "line 2: error CS1026"),
    "body": ("class A {\n\n static int F(int a) { return a.Foo; } }", "line 3: error CS1061"),
    "body of a covering namespace": ("namespace X;\nclass A { static int F(int a) => b; }", "line 2: error CS0103"),
    "declaration": ("class A { static Foo F(int a) => default; }", "line 1: error CS0246"),
    "statements": ("return F(1); int F(int a) => a;", "top-level"),
}


def modern() -> None:
    """Skip where Roslyn is not installed; where all toolchains are required, fail."""
    why = sandbox.ready()
    found = drivers.available("csharp")
    if isinstance(found, Unavailable) or "roslyn" not in found.version:
        why = why or "Roslyn is not below .toolchains; see setup/dotnet.sh"
    if why:
        if os.environ.get("POLYMIX_ALL_TOOLCHAINS") == "1":
            pytest.fail(why)
        pytest.skip(why)


@cache
def ran() -> dict[str, Execution]:
    texts = {**{name: code for name, (code, _) in PROBES.items()}, **{name: code for name, (code, _) in BROKEN.items()}}
    jobs = [(Program("csharp", code, "A.F"), [(7,)]) for code in texts.values()]
    return dict(zip(texts, execute(jobs, runs=1), strict=True))


@pytest.mark.parametrize("name", PROBES)
def test_what_came_since_version_8_runs(name: str) -> None:
    modern()
    execution = ran()[name]
    assert execution.status == "ran", execution.detail
    ((outcome,),) = execution.runs
    assert outcome.value is not None, outcome.detail
    assert plain(outcome.value) == PROBES[name][1]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_program_is_dropped_with_the_line_and_the_compilers_word(name: str) -> None:
    modern()
    execution = ran()[name]
    assert execution.status == "broken"
    assert BROKEN[name][1] in execution.detail


def test_memory_of_the_runtime_is_bounded() -> None:
    modern()
    code = (
        "using System.Collections.Generic; class A { static int F(int a) { var l = new List<long[]>();"
        " while (a > 0) l.Add(new long[1 << 22]); return l.Count; } }"
    )
    greedy, fine = execute(
        [(Program("csharp", code, "A.F"), [(1,), (0,)]), (Program("csharp", code, "A.F"), [(0,)])], runs=1
    )
    assert [outcome.status for outcome in greedy.runs[0]] == ["memory", "value"]
    assert fine.runs[0][0].status == "value"


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As if nothing had been installed below .toolchains."""
    monkeypatch.setattr(run, "DOTNET", tmp_path)
    drivers.available.cache_clear()
    yield
    drivers.available.cache_clear()


def test_without_it_the_old_compiler_is_taken_and_named(old: None) -> None:
    del old
    found = drivers.available("csharp")
    if isinstance(found, Unavailable) or sandbox.ready():
        pytest.skip(found.reason if isinstance(found, Unavailable) else sandbox.ready())
    assert found.version.startswith("mono mcs ")
    code, modern_code = "class A { static int F(int a) { return a + 1; } }", PROBES["switch expression"][0]
    simple, beyond = execute([(Program("csharp", text, "A.F"), [(7,)]) for text in (code, modern_code)], runs=1)
    assert simple.toolchain == found.version
    assert [plain(outcome.value) for outcome in simple.runs[0] if outcome.value] == [8]
    assert beyond.status == "broken"
    assert "error CS" in beyond.detail
