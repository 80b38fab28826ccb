"""C#'s programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "int32"
STRICT_ARITY = True
SAMPLES: dict[str, tuple[str, str]] = {
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
}
WHOLES: dict[str, str] = {
    "sum": (
        "using System;\nclass Program { static void Main(string[] args) {\nlong t = 0; string line;\n"
        "while ((line = Console.ReadLine()) != null)\n"
        "foreach (var x in line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries)) t += long.Parse(x);\n"
        "Console.WriteLine(t); } }\n"
    ),
    "repeat": (
        "using System;\nnamespace Some { static class Any { static int Main() {\n"
        'Console.Write(Console.In.ReadToEnd() + "!"); return 0; } } }\n'
    ),
    "leave": (
        "using System;\nclass Program { static int Main() {\n"
        'Console.WriteLine("so far"); return Console.ReadLine() == null ? 0 : 3; } }\n'
    ),
    "raise": (
        'using System;\nclass Program { static void Main() {\nthrow new InvalidOperationException("no \u00e9"); } }\n'
    ),
    "spin": (
        "using System;\nclass Program { static void Main() {\n"
        'int c = Console.Read(); while (c >= 32) { c = c * 3 % 64 + 32; } Console.WriteLine("done"); } }\n'
    ),
    "flood": (
        "using System;\nclass Program { static void Main() {\n"
        "while (true) Console.WriteLine(new string('x', 1000)); } }\n"
    ),
    "grow": (
        "using System.Collections.Generic;\nclass Program { static void Main() {\n"
        "var kept = new List<long[]>(); while (true) kept.Add(new long[1 << 20]); } }\n"
    ),
    "octets": (
        "using System;\nclass Program { static void Main() {\n"
        "var o = Console.OpenStandardOutput(); o.WriteByte(255); o.WriteByte(10); o.Flush(); } }\n"
    ),
    "fresh": ("using System;\nclass Program { static int n; static void Main() { n++; Console.WriteLine(n); } }\n"),
    "wrong": "class Program { static void Main() { int a = ; } }\n",
    "no_main": "class Program { static void Start() { } }\n",
}
