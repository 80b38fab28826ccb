"""JavaScript's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "binary64"
# What is too much is dropped, and what is missing is undefined.
STRICT_ARITY = False
SAMPLES: dict[str, tuple[str, str]] = {
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
}
