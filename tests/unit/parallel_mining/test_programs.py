from __future__ import annotations

import pytest

from parallel_mining.candidates import candidates
from parallel_mining.drivers.samples import samples
from parallel_mining.mutants import mutants
from parallel_mining.pairs import STDIN, WHOLE, whole_program
from parallel_mining.programs import name_of
from parallel_mining.units import Extraction, extract, infer, syntax
from quality.languages import LANGUAGES


def units_of(*files: tuple[str, str, str], license_type: str = "permissive") -> Extraction:
    rows = [
        {
            "id": f"{i:032x}",
            "text": text,
            "language": language,
            "repo_name": f"repo{i}",
            "path": path,
            "detected_licenses": ["MIT"],
            "license_type": license_type,
            "split": "train",
        }
        for i, (language, path, text) in enumerate(files)
    ]
    return extract(rows, workers=1)


def judged(language: str, text: str) -> str | None:
    """Return why a file is refused as a whole program, "" where it is one, None where it is none."""
    path = f"some{LANGUAGES[language].extensions[0]}"
    return next((row.reason for row in units_of((language, path, text)).considered if row.entry == WHOLE), None)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_programs_are_found_in_every_language(language):
    own = samples(language).WHOLES
    assert [judged(language, own[point]) for point in ("sum", "repeat", "leave", "spin")] == [""] * 4
    assert judged(language, own["no_main"]) is None
    assert judged(language, own["wrong"]) is None
    [unit] = [u for u in units_of((language, "some", own["sum"])).units if u.entry == WHOLE]
    assert unit.program == whole_program(language, own["sum"]) == infer(language, own["sum"], WHOLE)[0]
    assert unit.signature.types == (STDIN,)
    assert unit.trivial == ""
    assert mutants(unit.program, syntax(language).WORDING, most=6, seed=1)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f():\n    return input()\n"),
        ("python", "print('no input')\n"),
        ("python", '"""print(input())"""\n'),
        ("javascript", "const f = () => require('fs').readFileSync(0);\nmodule.exports = { f };\n"),
        ("javascript", "// process.stdin.on('data', f);\nmain();\n"),
        ("go", 'package other\n\nimport "os"\n\nvar In = os.Stdin\n'),
        ("rust", "pub fn other() {}\n"),
        ("java", "class A { void main() { } }\n"),
    ],
)
def test_what_is_no_program_is_not_considered_as_one(language, text):
    assert judged(language, text) is None


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("python", "import sys\nprint(sys.argv[1], input())\n", "impure: command-line arguments"),
        ("python", "import random\nprint(random.randint(0, int(input())))\n", "imports: random"),
        ("python", "import numpy as np, sys\nprint(np.sum([int(x) for x in sys.stdin]))\n", "imports: numpy"),
        ("python", "with open('x.txt') as f:\n    print(f.read() + input())\n", "impure: files"),
        ("python", "print(eval(input()))\n", "impure: reflection"),
        (
            "javascript",
            "const s = require('fs').readFileSync('in.txt') + process.stdin.read();\nf(s);\n",
            "impure: files",
        ),
        ("javascript", "process.stdin.on('data', () => console.log(Math.random()));\n", "impure: random"),
        (
            "typescript",
            "import { x } from './x';\nprocess.stdin.on('data', (d) => console.log(x(d)));\n",
            "imports: ./x",
        ),
        (
            "go",
            'package main\n\nimport (\n\t"math/rand"\n)\n\nfunc main() { println(rand.Int()) }\n',
            "imports: math/rand",
        ),
        ("go", 'package main\n\nimport "os"\n\nfunc main() { os.ReadFile("x") }\n', "impure: files"),
        ("go", "package main\n\nfunc main() { go func() {}() }\n", "impure: threads"),
        ("rust", "use rand::Rng;\n\nfn main() { rand::thread_rng(); }\n", "imports: rand"),
        ("rust", 'fn main() { let s = std::fs::read("x"); }\n', "impure: files"),
        ("rust", "mod other;\n\nfn main() { other::f(); }\n", "impure: unresolved"),
        (
            "java",
            "class A { public static void main(String[] args) { System.out.println(args[0]); } }\n",
            "impure: comm",
        ),
        ("java", "class A { public static void main(String[] a) { new Thread(null).start(); } }\n", "impure: threads"),
        ("csharp", "class A { static void Main() { System.Console.Write(DateTime.Now); } }\n", "impure: time"),
        ("csharp", 'class A { static void Main() { System.IO.File.ReadAllText("x"); } }\n', "impure: files"),
    ],
)
def test_what_reaches_further_than_standard_input_and_output_is_refused(language, text, reason):
    found = judged(language, text)
    assert found is not None
    assert found.startswith(reason)


def test_what_is_long_or_may_not_be_used_is_refused():
    long = "print(input())\n" + "# x\n" * 10_000
    [row] = [row for row in units_of(("python", "a.py", long)).considered if row.entry == WHOLE]
    assert row.reason.startswith("too long")
    refused = units_of(("python", "a.py", "print(input())\n"), license_type="no_license")
    assert [row.accepted for row in refused.considered if row.entry == WHOLE] == [
        row.accepted for row in units_of(("python", "b.py", "print(input())\n")).considered if row.entry == WHOLE
    ]


def test_programs_pair_with_programs_only():
    program = "def total(text):\n    return sum(int(x) for x in text.split())\n\n\nprint(total(input()))\n"
    other = (
        "function total(text) { return text.split(' ').map(Number).reduce((a, b) => a + b, 0); }\n"
        "console.log(total(require('fs').readFileSync(0, 'utf8')));\n"
    )
    units = units_of(("python", "total.py", program), ("javascript", "total.js", other)).units
    assert sorted(unit.entry for unit in units) == sorted([WHOLE, WHOLE, "total", "total"])
    found = candidates(units, "python", min_score=0.0)
    assert {(c.left.entry, c.right.entry) for c in found} == {(WHOLE, WHOLE), ("total", "total")}


def test_a_program_is_known_by_its_file_or_else_its_folder():
    assert name_of("src/word_count.py") == "word_count"
    assert name_of("tasks/word-count/src/main.rs") == "word-count"
    assert name_of("Main.java") == "Main"
