"""TypeScript's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "binary64"
# What is too much is dropped, and what is missing is undefined.
STRICT_ARITY = False
SAMPLES: dict[str, tuple[str, str]] = {
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
}
