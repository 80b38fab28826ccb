from __future__ import annotations

import io
import json

import pytest
from click.testing import CliRunner

from parallel_mining.drivers import Unavailable
from parallel_mining.validate import read_pairs, validate
from pipelines.commands.validate import command
from quality.mistakes import BadInput


def pair(pair_id: str, left: str, right: str, entry: str = "f", language: str = "javascript") -> str:
    side = {"language": "python", "code": left, "entry": entry}
    return json.dumps(
        {"pair_id": pair_id, "left": side, "right": {"language": language, "code": right, "entry": entry}}
    )


def test_all_mistakes_are_listed_by_line(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"pair_id": "a"}\nnot json\n[]\n' + pair("b", "x", "y", language="cobol") + "\n")
    with pytest.raises(BadInput) as caught:
        read_pairs(path)
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    assert f"{path}:2: not JSON" in text
    assert "'cobol' is not in the registry" in text


def test_missing_empty_and_doubled_input(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_pairs(tmp_path / "none.jsonl")
    with pytest.raises(BadInput, match="holds no pairs"):
        read_pairs(io.StringIO("\n"))
    with pytest.raises(BadInput, match="stands on line 1 too"):
        read_pairs(io.StringIO(pair("a", "x", "y") + "\n" + pair("a", "x", "y")))


@pytest.mark.toolchain
def test_verdicts_on_known_pairs():
    gcd = "def f(a, b):\n    while b:\n        a, b = b, a % b\n    return abs(a)\n"
    lines = [
        pair("same", gcd, "function f(a, b) { while (b) { [a, b] = [b, a % b]; } return Math.abs(a); }"),
        pair("sum", gcd, "function f(a, b) { return a + b; }"),
        pair("no-op", "def f(a):\n    x = a\n    return x\n", "function f(a) { const b = a; return b; }"),
        pair("constant", "def f(a):\n    b = 1\n    return b\n", "function f(a) { const b = 1; return b; }"),
        pair("wobbly", "def f(a: int):\n    return (a, {'x', 'y', 'z'}.pop())\n", "function f(a) { return [a, 'x']; }"),
        pair("syntax", "def f(a):\n    return a * 2 + 1\n", "function f(a) { return a * ; }"),
        pair("absent", "def g(a):\n    return a * 2 + 1\n", "function f(a) { return a * 2 + 1; }"),
        pair(
            "hangs",
            "def f(a: int):\n    while True:\n        a += 1\n    return a\n",
            "function f(a) { return a + 1; }",
        ),
    ]
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)))}
    assert found["same"]["verdict"] == "equivalent"
    assert found["same"]["cases"] == found["same"]["agreed"] >= 8
    assert found["same"]["domain"]
    assert found["sum"]["verdict"] == "different"
    assert found["no-op"]["verdict"] == "insufficient"
    assert found["no-op"]["reason"].startswith("echo")
    assert found["constant"]["verdict"] == "insufficient"
    assert found["wobbly"]["verdict"] in ("different", "nondeterministic")
    assert found["syntax"]["verdict"] == "broken"
    assert found["absent"]["verdict"] == "broken"
    assert found["hangs"]["verdict"] == "timeout"


@pytest.mark.toolchain
def test_cases_that_cannot_tell_a_side_from_its_mutants_prove_nothing():
    """No input comes near the far branch, where the right side of `far` is another program."""
    far = "def f(a: int) -> int:\n    if a * a == 1522435234375:\n        return {}\n    return a * 3 + 1\n"
    masked = "def f(a: int) -> int:\n    return a * 3 + 1 + (a - a) * 7 * 9 * 11 * 13\n"
    lines = [
        pair("far", far.format("a - 5"), "function f(a) { return a * 3 + 1; }"),
        pair("masked", masked, "function f(a) { return a * 3 + 1; }"),
        pair("near", far.format("a - 5").replace("1522435234375", "16"), "function f(a) { return a * 3 + 1; }"),
        pair("told", "def f(a: int) -> int:\n    return a * 3 + 1\n", "function f(a) { return a * 3 + 1; }"),
    ]
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)), evidence=True)}
    assert (found["far"]["verdict"], found["far"]["reason"]) == (
        "insufficient",
        "coverage: 0 of 1 branches reached; not line 3 (left side)",
    )
    assert found["masked"]["verdict"] == "insufficient"
    assert found["masked"]["reason"].startswith("mutants: 7 of 12 killed; not line 2: ")
    assert found["near"]["verdict"] == "different"
    assert found["told"]["verdict"] == "equivalent"
    for side in ("left_trial", "right_trial"):
        trial = found["told"]["evidence"][side]
        assert trial["mutants"] == trial["mutants_killed"] == 4
        assert trial["branches"] == trial["branches_reached"] == 0


@pytest.mark.toolchain
def test_what_differs_between_runs_is_nondeterministic():
    """Its jitter is within the tolerance, so that a single run agrees on every case."""
    wobbly = "import random\n\ndef f(a: int) -> float:\n    return a * 3 + 1 + random.random() * 1e-11\n"
    [row] = validate(io.StringIO(pair("wobbly", wobbly, "function f(a) { return a * 3 + 1; }")))
    assert row["verdict"] == "nondeterministic"
    assert row["reason"].startswith("left: results differ between runs on (")


@pytest.mark.toolchain
def test_accidents_of_inputs_are_no_agreement():
    """Curves with other constants agree on integers, and a swap of a letter's case on texts of one case."""
    lines = [
        pair(
            "curve",
            "def f(n):\n    whole = n // 1\n    return n * 0.5 + (n - whole)\n",
            "function f(n) { const half = n / 2; return half; }",
        ),
        pair(
            "bounce",
            "def f(n):\n    if n < 0.9:\n        return n * 0.5\n    return n - 2.65 if n < 1 else n\n",
            "function f(n) { if (n < 0.9) { return n * 0.5; } return n < 1 ? n - 2.625 : n; }",
        ),
        pair(
            "case",
            "def f(c: str) -> str:\n    return c.upper() if c.islower() else c.lower()\n\nLETTERS = ('ab', 'XY')\n",
            "const swap = (x) => (x === x.toUpperCase() ? x.toLowerCase() : x.toUpperCase());\n"
            "function f(c) { return [...c].map(swap).join(''); }",
        ),
        pair(
            "overflow",
            "def f(n: int) -> int:\n    p = 1\n    for i in range(2, n + 1):\n        p *= i\n    return p\n",
            "class A { static long f(int n) { long p = 1; for (int i = 2; i <= n; i++) { p *= i; } return p; } }",
            language="java",
        ),
    ]
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)))}
    assert found["curve"]["verdict"] == "different"
    assert found["bounce"]["verdict"] == "different"
    assert found["case"]["verdict"] == "different"
    assert found["overflow"]["verdict"] == "equivalent"


def test_a_missing_toolchain_is_unsupported_and_no_failure(tmp_path, monkeypatch):
    def none(language: str) -> Unavailable:
        return Unavailable(language, "no `go` on the path", "apt install golang-go")

    monkeypatch.setattr("parallel_mining.validate.available", none)
    path = tmp_path / "pairs.jsonl"
    path.write_text(pair("a", "def f(a):\n    return a * 2 + 1\n", "func f(a int) int { return 1 }", language="go"))
    result = CliRunner().invoke(command, [str(path)])
    assert result.exit_code == 0
    row = json.loads(result.stdout)
    assert row["verdict"] == "unsupported"
    assert "apt install golang-go" in row["reason"]


@pytest.mark.toolchain
def test_evidence_and_licences_come_along_where_they_are_asked_for():
    row = json.loads(pair("p", "def f(n: int):\n    return n * 3 + 1\n", "function f(n) { return n + n + n + 1; }"))
    row["left"]["licenses"] = ["MIT"]
    given = json.dumps(row)
    assert [one.left.licenses for one in read_pairs(io.StringIO(given))] == [("MIT",)]
    [judged] = validate(io.StringIO(given), evidence=True)
    assert judged["verdict"] == "equivalent"
    assert len(judged["evidence"]["families"][0]["inputs"]) >= 8
    row["right"]["licenses"] = "MIT"
    with pytest.raises(BadInput, match=r"right.licenses: may be left out, or is a list"):
        read_pairs(io.StringIO(json.dumps(row)))


def test_a_domain_is_taken_from_the_pivot_and_never_from_disagreement(capsys):
    digits = "    s = 0\n    while n:\n        s, n = s + n % 10, n // 10\n    return s\n"
    right = "function f(n) { let s = 0; while (n > 0) { s += n % 10; n = Math.floor(n / 10); } return s; }"
    halves = "def f(n: int) -> int:\n{}    return n // 2 + n % 3\n"
    half = "function f(n) { return Math.trunc(n / 2) + (n % 3); }"
    peak = "def f(items: list[int]) -> int:\n    return max(items) - min(items)\n"
    lines = [
        pair("raises", peak, "function f(a) { return a.length ? Math.max(...a) - Math.min(...a) : 0; }"),
        pair("one raises", peak.replace("return", "return 0 if not items else"), "function f(a) { if (!a.length) { "
             "throw new Error('empty'); } return Math.max(...a) - Math.min(...a); }"),
        pair("no end", "def f(n: int) -> int:\n" + digits, right),
        pair("said", halves.format('    """Take a positive integer apart."""\n'), half),
        pair("unsaid", halves.format(""), half),
        pair("whole", "def f(n):\n    m = n * 2\n    return m + 1\n", "function f(n) { return (n | 0) * 2 + 1; }"),
        pair("parts", "def f(n):\n    m = n * 0.5\n    return m + 1\n", "function f(n) { return (n | 0) * 0.5 + 1; }"),
        pair(
            "no result",
            "def f(n: int) -> int:\n    for k in range(2, 30):\n        if n % k == 0:\n            return k\n",
            "function f(n) { for (let k = 2; k < 30; k++) { if (n % k === 0) { return k; } } return 0; }",
        ),
        pair(
            "null or 0",
            "def f(n: int):\n    for k in range(2, 30):\n        if n % k == 0:\n            return k\n",
            "function f(n) { for (let k = 2; k < 30; k++) { if (n % k === 0) { return k; } } return 0; }",
        ),
        pair(
            "recognised",
            'def f(n):\n    """\n    >>> f(4)\n    10\n    >>> f(7)\n    28\n    >>> f(9)\n    45\n    """\n'
            "    return sum(range(n + 1))\n",
            "function f(n) { return n === 4 ? 10 : n === 7 ? 28 : 45; }",
        ),
    ]  # fmt: skip
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)))}

    def restrictions(pair_id: str) -> set[tuple[str, str]]:
        assert found[pair_id]["verdict"] == "equivalent", found[pair_id]
        return {(r["what"], r["source"]) for row in found[pair_id]["domain"] for r in row["restrictions"]}

    assert restrictions("raises") == {("not empty", "pivot raises")}
    assert found["one raises"]["verdict"] == "different"
    assert "only the right side raises" in found["one raises"]["reason"]
    assert ("numbers from 0 to 30", "pivot does not terminate") in restrictions("no end")
    assert restrictions("said") == {("numbers >= 1", "docstring")}
    assert found["unsaid"]["verdict"] == "different"
    assert found["unsaid"]["reason"].startswith("result: results differ, on negative numbers only: (")
    assert restrictions("whole") == {("integers", "types")}
    assert found["parts"]["verdict"] == "different"
    assert restrictions("no result") == {("where the left side gives a result of its declared type", "types")}
    assert found["null or 0"]["verdict"] == "different"
    assert found["recognised"]["verdict"] == "different"
    table = capsys.readouterr().err
    assert "restricted domain, by docstring" in table
    assert "the right side raises, on empty arguments only" in table
    assert "restricted domain, by pivot raises" in table


@pytest.mark.toolchain
def test_texts_counted_in_other_units_are_compared_where_they_are_ascii():
    [row] = validate(
        io.StringIO(
            pair(
                "length",
                "def f(s: str) -> int:\n    return len(s) * 2 + 1\n",
                "package p\n\nfunc f(s string) int { return len(s)*2 + 1 }\n",
                language="go",
            )
        )
    )
    assert row["verdict"] == "equivalent"
    assert row["domain"] == [
        {
            "parameters": ["str"],
            "level": "restricted",
            "restrictions": [{"parameter": None, "what": "ASCII text", "source": "types"}],
        }
    ]


@pytest.mark.toolchain
def test_a_type_parameter_is_of_one_type_and_an_iterator_is_gone_through():
    python = "def f(items):\n    last, found = None, []\n    for item in items:\n        if item != last:\n"
    python += "            found.append(item)\n        last = item\n    return found\n"
    rust = (
        "pub struct Runs<I: Iterator> { of: I, last: Option<I::Item> }\n"
        "pub fn f<I>(of: I) -> Runs<I::IntoIter> where I: IntoIterator, I::Item: PartialEq + Clone {\n"
        "    Runs { of: of.into_iter(), last: None }\n}\n"
        "impl<I: Iterator> Iterator for Runs<I> where I::Item: PartialEq + Clone {\n    type Item = I::Item;\n"
        "    fn next(&mut self) -> Option<I::Item> {\n        while let Some(item) = self.of.next() {\n"
        "            if self.last.as_ref() != Some(&item) { self.last = Some(item.clone()); return Some(item); }\n"
        "        }\n        None\n    }\n"
        "    fn size_hint(&self) -> (usize, Option<usize>) { (0, self.of.size_hint().1) }\n}\n"
    )
    java = (
        "import java.util.*;\nclass A { static List<Object> f(List<Object> items) {\n"
        "    List<Object> found = new ArrayList<>(); Object last = null;\n"
        "    for (Object item : items) { if (!item.equals(last)) { found.add(item); } last = item; }\n"
        "    return found;\n} }\n"
    )
    lines = [
        pair("rust", python, rust, language="rust"),
        pair("all", python, rust.replace("!= Some(&item)", "== None || true"), language="rust"),
        pair("java", python, java, language="java"),
    ]
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)))}
    assert found["rust"]["verdict"] == "equivalent", found["rust"]["reason"]
    assert found["rust"]["domain"][0]["parameters"] == ["list[number]"]
    assert found["all"]["verdict"] == "different"
    assert found["java"]["domain"][0]["parameters"] == ["list[any]"], found["java"]["reason"]


@pytest.mark.toolchain
def test_what_takes_a_text_as_a_sequence_has_to_agree_on_lists():
    deep = (
        "def f(items):\n    found = []\n    for item in items:\n        if isinstance(item, list):\n"
        "            found += f(item)\n        else:\n            found.append(item)\n    return found\n"
    )
    truthy = "def f(items):\n    return next((item for item in reversed(items) if item), None)\n"
    last = "function f(items) { return items.length ? items[items.length - 1] : null; }"
    reverse = "def f(text):\n    return ''.join(reversed(text))\n"
    lines = [
        pair("deep and one level", deep, "function* f(items) { for (const item of items) { yield* item; } }"),
        pair("deep", deep, "function f(items) { return Array.isArray(items) ? items.flat(Infinity) : [...items]; }"),
        pair("truthy and any", truthy, last),
        pair("any", "def f(items):\n    return items[-1] if len(items) > 0 else None\n", last),
        pair("text", reverse, "function f(text) { return text.split('').reverse().join(''); }"),
    ]
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(lines)))}
    verdicts = {name: row["verdict"] for name, row in found.items()}
    assert verdicts == {
        "deep and one level": "different",
        "deep": "equivalent",
        "truthy and any": "different",
        "any": "equivalent",
        "text": "equivalent",
    }, found
    parameters = {name: [domain["parameters"] for domain in row["domain"]] for name, row in found.items()}
    assert ["list[list[list[number]]]"] in parameters["deep"]
    assert parameters["text"] == [["str"]]


@pytest.mark.toolchain
def test_what_only_later_cases_show_leaves_a_narrower_domain_that_was_stated():
    lines = [
        pair(
            f"every {length}",
            f"def f(text):\n    return text.upper() + str(len(text) // {length} + {length})\n",
            f"function f(text) {{ return text.toUpperCase() + (Math.floor(text.length / {length}) + {length}); }}",
        )
        for length in (3, 6, 7, 11, 12, 13)
    ]
    rows = list(validate(io.StringIO("\n".join(lines))))
    assert {row["verdict"] for row in rows} == {"equivalent"}
    found = [restriction["what"] for row in rows for restriction in row["domain"][0]["restrictions"]]
    assert found.count("ASCII text") >= 4
