"""Java's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "int32"
STRICT_ARITY = True
SAMPLES: dict[str, tuple[str, str]] = {
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
}
WHOLES: dict[str, str] = {
    "sum": (
        "import java.util.*;\npublic class Main { public static void main(String[] args) {\n"
        "Scanner in = new Scanner(System.in); long t = 0;\nwhile (in.hasNextLong()) t += in.nextLong();\n"
        "System.out.println(t); } }\n"
    ),
    "repeat": (
        "package some.where;\nclass Main { public static void main(String... args) throws Exception {\n"
        'System.out.print(new String(System.in.readAllBytes(), "UTF-8") + "!"); } }\n'
    ),
    "leave": (
        "import java.io.*;\nclass Main { public static void main(String[] args) throws IOException {\n"
        'System.out.println("so far");\n'
        "System.exit(new BufferedReader(new InputStreamReader(System.in)).readLine() == null ? 0 : 3); } }\n"
    ),
    "raise": 'class Main { public static void main(String[] a) { throw new IllegalStateException("no é"); } }\n',
    "spin": (
        "class Main { public static void main(String[] a) throws Exception {\n"
        'int c = System.in.read(); while (c >= 32) { c = c * 3 % 64 + 32; } System.out.println("done"); } }\n'
    ),
    "flood": 'class Main { public static void main(String[] a) { for (;;) System.out.println("x".repeat(1000)); } }\n',
    "grow": (
        "import java.util.*;\nclass Main { public static void main(String[] a) {\n"
        "List<long[]> kept = new ArrayList<>(); while (true) kept.add(new long[1 << 20]); } }\n"
    ),
    "octets": (
        "class Main { public static void main(String[] a) {\n"
        "System.out.write(255); System.out.write(10); System.out.flush(); } }\n"
    ),
    "fresh": "class Main { static int n; public static void main(String[] a) { System.out.println(++n); } }\n",
    "wrong": "class Main { public static void main(String[] a) { System.out.println(1 } }\n",
    "no_main": "class Main { public static void start(String[] a) { System.out.println(1); } }\n",
}
