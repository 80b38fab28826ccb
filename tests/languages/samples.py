"""The same small programs in every language of the registry: what the contract suite runs.

Each language has a program for each point of `POINTS`; the calls and what they must come to stand in the suite.
"""

from __future__ import annotations

from parallel_mining.pairs import Program
from parallel_mining.types import parse_type

# Point to the canonical types of its parameters.
POINTS: dict[str, tuple[str, ...]] = {
    "add": ("int32", "int32"),
    "shout": ("str",),
    "fail": ("int32",),
    "hang": ("int32",),
    "syntax": ("int32",),
    "unknown": ("int32",),
    "missing": ("int32",),
    "floats": ("float",),
    "narrow": ("int32",),
    "transpose": ("list[list[int32]]",),
    "count": ("list[str]",),
    "halve": ("int32",),
    "sorted": ("list[int32]",),
    "random": ("int32",),
    "stateful": ("int32",),
    "leave": ("int32",),
}

SOURCES: dict[str, dict[str, tuple[str, str]]] = {
    "python": {
        "add": ("f", "def f(a, b):\n    return a + b\n"),
        "shout": ("f", "def f(s):\n    print('R 0 0 v n')\n    return s + '!'\n"),
        "fail": ("f", "def f(a):\n    raise ValueError('no é')\n"),
        "hang": ("f", "def f(a):\n    while a < 2:\n        pass\n    return a\n"),
        "syntax": ("f", "def f(a)\n    return a\n"),
        "unknown": ("f", "import nosuchmodule\ndef f(a):\n    return a\n"),
        "missing": ("f", "def g(a):\n    return a\n"),
        "floats": ("f", "def f(x):\n    return [x * 0.0, float('inf') * x, float('nan'), x / 3]\n"),
        "narrow": ("f", "def f(a):\n    return a * 2\n"),
        "transpose": ("f", "def f(m):\n    return [list(row) for row in zip(*m)]\n"),
        "count": ("f", "from collections import Counter\ndef f(a):\n    return Counter(a)\n"),
        "halve": ("f", "def f(a):\n    return None if a % 2 else a // 2\n"),
        "sorted": ("f", "def f(a):\n    a.sort()\n    return a[0]\n"),
        "random": ("f", "import random\ndef f(a):\n    return random.random()\n"),
        "stateful": ("f", "seen = []\ndef f(a):\n    seen.append(a)\n    return len(seen)\n"),
        "leave": ("f", "import os\ndef f(a):\n    os._exit(0) if a else None\n    return a\n"),
    },
    "javascript": {
        "add": ("f", "const f = (a, b) => a + b;"),
        "shout": ("f", "function f(s) { console.log('R 0 0 v n'); return s + '!'; }"),
        "fail": ("f", "function f(a) { throw new RangeError('no é'); }"),
        "hang": ("f", "function f(a) { while (a < 2); return a; }"),
        "syntax": ("f", "function f(a { return a; }"),
        "unknown": ("f", "const x = require('nosuchmodule'); function f(a) { return a; }"),
        "missing": ("f", "function g(a) { return a; }"),
        "floats": ("f", "function f(x) { return [x * 0, Infinity * x, NaN, x / 3]; }"),
        "narrow": ("f", "function f(a) { return a * 2; }"),
        "transpose": ("f", "function f(m) { return m[0].map((_, i) => m.map((row) => row[i])); }"),
        "count": (
            "f",
            "function f(a) { const m = new Map(); for (const s of a) m.set(s, (m.get(s) ?? 0) + 1); return m; }",
        ),
        "halve": ("f", "function f(a) { return a % 2 ? undefined : a / 2; }"),
        "sorted": ("f", "function f(a) { a.sort((x, y) => x - y); return a[0]; }"),
        "random": ("f", "function f(a) { return Math.random(); }"),
        "stateful": ("f", "let n = 0; function f(a) { return ++n; }"),
        "leave": ("f", "function f(a) { if (a) require('process').exit(0); return a; }"),
    },
    "typescript": {
        "add": ("f", "const f = (a: number, b: number): number => a + b;"),
        "shout": ("f", "function f(s: string): string { console.log('R 0 0 v n'); return s + '!'; }"),
        "fail": ("f", "function f(a: number): never { throw new RangeError('no é'); }"),
        "hang": ("f", "function f(a: number): number { while (a < 2); return a; }"),
        "syntax": ("f", "function f(a: number { return a; }"),
        "unknown": ("f", "const x: any = require('nosuchmodule'); function f(a: number) { return a; }"),
        "missing": ("f", "function g(a: number): number { return a; }"),
        "floats": ("f", "function f(x: number): number[] { return [x * 0, Infinity * x, NaN, x / 3]; }"),
        "narrow": ("f", "enum E { Two = 2 }\nfunction f(a: number): number { return a * E.Two; }"),
        "transpose": (
            "f",
            "function f<T>(m: T[][]): T[][] { return m[0]!.map((_, i) => m.map((row) => row[i] as T)); }",
        ),
        "count": (
            "f",
            "function f(a: string[]): Record<string, number> {\n"
            "  const m: Record<string, number> = {};\n  for (const s of a) m[s] = (m[s] ?? 0) + 1;\n  return m;\n}",
        ),
        "halve": ("f", "function f(a: number): number | null { return a % 2 ? null : a / 2; }"),
        "sorted": ("f", "function f(a: number[]): number { a.sort((x, y) => x - y); return a[0]!; }"),
        "random": ("f", "function f(a: number): number { return Math.random(); }"),
        "stateful": ("f", "let n: number = 0; function f(a: number): number { return ++n; }"),
        "leave": ("f", "function f(a: number): number { if (a) require('process').exit(0); return a; }"),
    },
    "java": {
        "add": ("A.f", "class A { static int f(int a, int b) { return a + b; } }"),
        "shout": (
            "A.f",
            'public class A { public static String f(String s) { System.out.println("R 0 0 v n"); return s + "!"; } }',
        ),
        "fail": ("A.f", 'class A { static int f(int a) { throw new IllegalStateException("no é"); } }'),
        "hang": ("A.f", "class A { static int f(int a) { while (a < 2) {} return a; } }"),
        "syntax": ("A.f", "class A { static int f(int a { return a; } }"),
        "unknown": ("A.f", "import no.such.Thing; class A { static int f(int a) { return a; } }"),
        "missing": ("A.f", "class A { static int g(int a) { return a; } }"),
        "floats": (
            "A.f",
            "class A { static double[] f(double x) {"
            " return new double[] {x * 0, Double.POSITIVE_INFINITY * x, Double.NaN, x / 3}; } }",
        ),
        "narrow": ("A.f", "class A { static int f(int a) { return a * 2; } }"),
        "transpose": (
            "A.f",
            "class A { static int[][] f(int[][] m) { int[][] t = new int[m[0].length][m.length];"
            " for (int i = 0; i < m.length; i++) for (int j = 0; j < m[0].length; j++) t[j][i] = m[i][j];"
            " return t; } }",
        ),
        "count": (
            "Outer.A.f",
            "package x.y; import java.util.*; class Outer { static class A {"
            " static Map<String, Integer> f(List<String> a) { Map<String, Integer> m = new HashMap<>();"
            " for (String s : a) m.merge(s, 1, Integer::sum); return m; } } }",
        ),
        "halve": ("A.f", "class A { static Integer f(int a) { return a % 2 != 0 ? null : (Integer) (a / 2); } }"),
        "sorted": ("A.f", "class A { static int f(int[] a) { java.util.Arrays.sort(a); return a[0]; } }"),
        "random": ("A.f", "class A { static double f(int a) { return Math.random(); } }"),
        "stateful": ("A.f", "class A { static int n; static int f(int a) { return ++n; } }"),
        "leave": ("A.f", "class A { static int f(int a) { if (a != 0) Runtime.getRuntime().halt(0); return a; } }"),
    },
    "csharp": {
        "add": ("A.F", "class A { static int F(int a, int b) { return a + b; } }"),
        "shout": (
            "A.F",
            "using System; public class A { public static string F(string s) {"
            ' Console.WriteLine("R 0 0 v n"); return s + "!"; } }',
        ),
        "fail": ("A.F", 'class A { static int F(int a) { throw new System.ArgumentException("no é"); } }'),
        "hang": ("A.F", "class A { static int F(int a) { while (a < 2) {} return a; } }"),
        "syntax": ("A.F", "class A { static int F(int a { return a; } }"),
        "unknown": ("A.F", "using No.Such.Thing; class A { static int F(int a) { return a; } }"),
        "missing": ("A.F", "class A { static int G(int a) { return a; } }"),
        "floats": (
            "A.F",
            "class A { static double[] F(double x) {"
            " return new[] { x * 0, double.PositiveInfinity * x, double.NaN, x / 3 }; } }",
        ),
        "narrow": ("A.F", "class A { static int F(int a) { return a * 2; } }"),
        "transpose": (
            "A.F",
            "class A { static int[,] F(int[,] m) { var t = new int[m.GetLength(1), m.GetLength(0)];"
            " for (int i = 0; i < m.GetLength(0); i++) for (int j = 0; j < m.GetLength(1); j++) t[j, i] = m[i, j];"
            " return t; } }",
        ),
        "count": (
            "A.F",
            "using System.Collections.Generic; using System.Linq; namespace X.Y { static class A {"
            " internal static Dictionary<string, int> F(IEnumerable<string> a)"
            " { return a.GroupBy(s => s).ToDictionary(g => g.Key, g => g.Count()); } } }",
        ),
        "halve": ("A.F", "class A { static int? F(int a) { return a % 2 != 0 ? (int?)null : a / 2; } }"),
        "sorted": ("A.F", "class A { static int F(int[] a) { System.Array.Sort(a); return a[0]; } }"),
        "random": ("A.F", "class A { static string F(int a) { return System.Guid.NewGuid().ToString(); } }"),
        "stateful": ("A.F", "class A { static int n; static int F(int a) { return ++n; } }"),
        "leave": ("A.F", "class A { static int F(int a) { if (a != 0) System.Environment.Exit(0); return a; } }"),
    },
    "go": {
        "add": ("F", "package a\n\nfunc F(a, b int32) int32 { return a + b }\n"),
        "shout": (
            "F",
            'package a\n\nimport "fmt"\n\nfunc F(s string) string { fmt.Println("R 0 0 v n"); return s + "!" }\n',
        ),
        "fail": (
            "F",
            'package a\n\nimport "errors"\n\nfunc F(a int32) (int32, error) { return 0, errors.New("no é") }\n',
        ),
        "hang": ("F", "package a\n\nfunc F(a int32) int32 { for a < 2 {}; return a }\n"),
        "syntax": ("F", "package a\n\nfunc F(a int32 int32 { return a }\n"),
        "unknown": ("F", 'package a\n\nimport "no.such/thing"\n\nfunc F(a int32) int32 { return thing.X(a) }\n'),
        "missing": ("F", "package a\n\nfunc G(a int32) int32 { return a }\n"),
        "floats": (
            "F",
            'package a\n\nimport "math"\n\nfunc F(x float64) []float64 {'
            " return []float64{x * 0, math.Inf(1) * x, math.NaN(), x / 3} }\n",
        ),
        "narrow": ("f", "package a\n\nfunc f(a int32) int32 { return a * 2 }\n"),
        "transpose": (
            "F",
            "package a\n\nfunc F(m [][]int) [][]int { t := make([][]int, len(m[0]))\n"
            "for i := range m { for j := range m[i] { t[j] = append(t[j], m[i][j]) } }\nreturn t }\n",
        ),
        "count": (
            "F",
            "package a\n\nfunc F(a []string) map[string]int {\n"
            "m := map[string]int{}\nfor _, s := range a { m[s]++ }\nreturn m }\n",
        ),
        "halve": ("F", "package a\n\nfunc F(a int) *int { if a%2 != 0 { return nil }; h := a / 2; return &h }\n"),
        "sorted": ("F", 'package a\n\nimport "sort"\n\nfunc F(a []int) int { sort.Ints(a); return a[0] }\n'),
        "random": ("F", 'package a\n\nimport "time"\n\nfunc F(a int) int64 { return time.Now().UnixNano() }\n'),
        "stateful": ("F", "package a\n\nvar n int\n\nfunc F(a int) int { n++; return n }\n"),
        "leave": ("F", 'package a\n\nimport "os"\n\nfunc F(a int) int { if a != 0 { os.Exit(0) }; return a }\n'),
    },
    "rust": {
        "add": ("f", "fn f(a: i32, b: i32) -> i32 { a + b }"),
        "shout": ("f", 'pub fn f(s: &str) -> String { println!("R 0 0 v n"); format!("{}!", s) }'),
        "fail": ("f", 'fn f(_a: i32) -> Result<i32, String> { Err("no é".to_string()) }'),
        "hang": ("f", "fn f(a: i32) -> i32 { while a < 2 { std::hint::spin_loop() } a }"),
        "syntax": ("f", "fn f(a: i32 -> i32 { a }"),
        "unknown": ("f", "use nosuch::thing; fn f(a: i32) -> i32 { a }"),
        "missing": ("f", "fn g(a: i32) -> i32 { a }"),
        "floats": ("f", "fn f(x: f64) -> [f64; 4] { [x * 0.0, f64::INFINITY * x, f64::NAN, x / 3.0] }"),
        "narrow": ("f", "fn f(a: i32) -> i32 { a.wrapping_mul(2) }"),
        "transpose": (
            "M::f",
            "struct M; impl M { fn f<T: Clone>(m: &[Vec<T>]) -> Vec<Vec<T>> {"
            " (0..m[0].len()).map(|j| m.iter().map(|r| r[j].clone()).collect()).collect() } }",
        ),
        "count": (
            "f",
            "use std::collections::HashMap;\nfn f<'a>(a: &[&'a str]) -> HashMap<&'a str, usize> {"
            " let mut m = HashMap::new(); for s in a { *m.entry(*s).or_insert(0) += 1; } m }",
        ),
        "halve": ("f", "fn f(a: i32) -> Option<i32> { if a % 2 != 0 { None } else { Some(a / 2) } }"),
        "sorted": ("f", "fn f(a: &mut Vec<i32>) -> i32 { a.sort(); a[0] }"),
        "random": (
            "f",
            "fn f(_a: i32) -> u32 { std::process::id() ^ std::time::Instant::now().elapsed().subsec_nanos() }",
        ),
        "stateful": (
            "f",
            "use std::sync::atomic::{AtomicI32, Ordering};\nstatic N: AtomicI32 = AtomicI32::new(0);\n"
            "fn f(_a: i32) -> i32 { N.fetch_add(1, Ordering::SeqCst) + 1 }",
        ),
        "leave": ("f", "fn f(a: i32) -> i32 { if a != 0 { std::process::exit(0) } a }"),
    },
}


def sample(language: str, point: str) -> Program:
    """Return a language's program for a point."""
    entry, code = SOURCES[language][point]
    number = language in ("javascript", "typescript")
    names = [kind.replace("int32", "number") if number else kind for kind in POINTS[point]]
    return Program(language, code, entry, tuple(parse_type(name) for name in names))
