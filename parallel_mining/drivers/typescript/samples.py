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
WHOLES: dict[str, str] = {
    "sum": (
        "import * as readline from 'readline';\nenum Start { Zero = 0 }\n"
        "async function main(): Promise<void> {\n  let t: number = Start.Zero;\n"
        "  for await (const l of readline.createInterface({ input: process.stdin }))\n"
        "    for (const x of l.split(/\\s+/)) if (x) t += Number(x);\n  console.log(t);\n}\nmain();\n"
    ),
    "repeat": "import { readFileSync } from 'node:fs';\nprocess.stdout.write(<string>readFileSync(0, 'utf8') + '!');\n",
    "leave": (
        "let all: string = ''; process.stdin.on('data', (x: Buffer) => { all += x; });\n"
        "process.stdin.on('end', () => { console.log('so far'); process.exit(all ? 3 : 0); });\n"
    ),
    "raise": "throw new RangeError('no é' as string);\n",
    "spin": (
        "import * as fs from 'fs';\nconst s: string = fs.readFileSync('/dev/stdin', 'utf8');\n"
        "while (s.trim());\nconsole.log('done');\n"
    ),
    "flood": "import * as fs from 'fs';\nfor (;;) fs.writeSync(1, 'x'.repeat(1000) as string);\n",
    "grow": "const a: number[][] = []; for (;;) a.push(new Array(1e6).fill(0));\n",
    "octets": "process.stdout.write(Buffer.from([255, 10] as number[]));\n",
    "fresh": "let n: number = 0; n++; console.log(n);\n",
    "wrong": "const a: = 1;\n",
    "no_main": "function main( { }\n",
}
