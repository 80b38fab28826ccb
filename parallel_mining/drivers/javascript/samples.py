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
WHOLES: dict[str, str] = {
    "sum": (
        "const lines = require('readline').createInterface({ input: process.stdin });\nlet t = 0;\n"
        "lines.on('line', (l) => { for (const x of l.split(/\\s+/)) if (x) t += Number(x); });\n"
        "lines.on('close', () => console.log(t));\n"
    ),
    "repeat": "process.stdout.write(require('fs').readFileSync(0, 'utf8') + '!');\n",
    "leave": (
        "let all = ''; process.stdin.on('data', (x) => { all += x; });\n"
        "process.stdin.on('end', () => { console.log('so far'); process.exitCode = all ? 3 : 0; });\n"
    ),
    "raise": "throw new RangeError('no é');\n",
    "spin": "const s = require('fs').readFileSync('/dev/stdin', 'utf8');\nwhile (s.trim());\nconsole.log('done');\n",
    "flood": "for (;;) require('fs').writeSync(1, 'x'.repeat(1000));\n",
    "grow": "const a = []; for (;;) a.push(new Array(1e6).fill(0));\n",
    "octets": "process.stdout.write(Buffer.from([255, 10]));\n",
    "fresh": "globalThis.n = (globalThis.n ?? 0) + 1; console.log(globalThis.n);\n",
    "wrong": "console.log('a';\n",
    "no_main": "function main( { }\n",
}
