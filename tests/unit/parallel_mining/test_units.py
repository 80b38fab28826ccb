from __future__ import annotations

import gc

import pytest

from parallel_mining.units import extract, folded, infer, literals_of, name_parts, syntax
from quality.languages import LANGUAGES
from quality.licences import license_type
from quality.mistakes import BadInput


def rows(language: str, files: dict[str, str], repo: str = "pkg:x", licenses: tuple[str, ...] = ("MIT",)) -> list[dict]:
    return [
        {
            "id": f"{i:032x}",
            "text": text,
            "language": language,
            "repo_name": repo,
            "path": path,
            "detected_licenses": list(licenses),
            "license_type": license_type(licenses),
            "split": "train",
        }
        for i, (path, text) in enumerate(files.items())
    ]


def cut(language: str, files: dict[str, str]) -> dict[str, str]:
    return {u.entry: u.program.code for u in extract(rows(language, files), workers=1).units}


def reasons(language: str, files: dict[str, str]) -> dict[str, str]:
    return {c.entry: c.reason for c in extract(rows(language, files), workers=1).considered if not c.accepted}


def test_python_takes_helpers_constants_and_other_files_along():
    files = {
        "p/__init__.py": "from .a import twice\n",
        "p/a.py": "import math\nfrom .b import BASE as B\n\ndef helper(x):\n    return x * B\n\n"
        "def twice(x):\n    return math.floor(helper(x)) + helper(x)\n",
        "p/b.py": "BASE = 2\nOTHER = 3\n",
    }
    code = cut("python", files)["twice"]
    space: dict = {}
    exec(compile(code, "unit", "exec"), space)
    assert space["twice"](1.5) == 6.0
    assert "OTHER" not in code


def test_a_namespace_of_the_same_package_is_written_flat():
    files = {
        "p/__init__.py": "from .a import up\n",
        "p/a.py": "def up(x):\n    return x + 1 + 0\n",
        "p/c.py": "import p as pp\n\ndef g(x):\n    return pp.up(x) * 2\n",
    }
    code = cut("python", files)["g"]
    space: dict = {}
    exec(compile(code, "unit", "exec"), space)
    assert space["g"](3) == 8


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def f(x):\n    return open(x).read()\n", "impure"),
        ("import os\ndef f(x):\n    return os.getcwd() + x\n", "imports"),
        ("def f(x):\n    return unknown(x) + 1\n", "unresolved"),
        ("def f():\n    return 1\n", "signature"),
        ("def f(x):\n    global y\n    y = x\n    return y\n", "impure"),
        ("async def f(x):\n    return x\n", "impure"),
        ("@cached\ndef f(x):\n    return x + 1\n", "unresolved"),
        ("import builtins\ndef f(x):\n    return builtins.open(x).read()\n", "impure"),
        ("from builtins import open as o\ndef f(x):\n    return o(x).read()\n", "impure"),
        ("class A(B):\n    def f(self, x):\n        return x\n", "method"),
    ],
)
def test_what_python_turns_away_has_a_reason(body: str, reason: str):
    found = reasons("python", {"a.py": body})
    assert [r.partition(":")[0] for r in found.values()] == [reason]


def test_cutting_leaves_the_collector_as_it_was():
    assert gc.isenabled()
    cut("python", {"a.py": "def f(x):\n    return x * 2 + 1\n"})
    assert gc.isenabled()


def test_code_without_a_permissive_licence_is_not_used():
    documents = rows("python", {"a.py": "def f(x):\n    return x * 2 + 1\n"}, licenses=())
    found = extract(documents, workers=1)
    assert not found.units
    assert found.considered[0].reason == "licence: no_license"


def test_javascript_follows_require_and_umd():
    files = {
        "_base.js": "function base(a) { return a + 1; }\nmodule.exports = base;\n",
        "main.js": "var base = require('./_base');\nvar K = 3;\nfunction f(a) { return base(a) * K; }\n"
        "module.exports = f;\n",
        "umd.js": "(function (root, factory) { module.exports = factory(); }(this, function () {\n"
        "function h(a) { return a * 2; }\nfunction g(a) { return h(a) + 1; }\nreturn {g: g};\n}));\n",
    }
    found = cut("javascript", files)
    assert "function base" in found["f"]
    assert "K = 3" in found["f"]
    assert "require" not in found["f"]
    assert "function h" in found["g"]


def test_javascript_turns_random_and_time_away():
    files = {"a.js": "function f(a) { return a * Math.random(); }\nfunction g(a) { return a + Date.now(); }\n"}
    assert {k: v.partition(":")[0] for k, v in reasons("javascript", files).items()} == {"f": "impure", "g": "impure"}


def test_typescript_types_become_canonical():
    files = {"a.ts": "export const f = (a: readonly number[], b?: string): string | null => b ? b + a[0] : null;\n"}
    [unit] = extract(rows("typescript", files), workers=1).units
    assert [str(p.type) for p in unit.signature.parameters] == ["list[number]", "str"]
    assert str(unit.signature.returns) == "optional[str]"
    assert unit.signature.parameters[1].optional


def test_go_takes_types_and_methods_of_its_package_along():
    files = {
        "s/data.go": "package s\n\ntype Floats []float64\n\nfunc (f Floats) Len() int { return len(f) }\n",
        "s/mean.go": 'package s\n\nimport (\n\t"errors"\n\t"os"\n)\n\nfunc sum(f Floats) (t float64) {\n'
        "\tfor _, v := range f {\n\t\tt += v\n\t}\n\treturn\n}\n\n"
        "// Mean is the mean.\nfunc Mean(in Floats) (float64, error) {\n"
        '\tif in.Len() == 0 {\n\t\treturn 0, errors.New("empty")\n\t}\n\treturn sum(in) / float64(in.Len()), nil\n}\n\n'
        "func Bad(a string) string { return os.Getenv(a) + a }\n",
    }
    [unit] = [u for u in extract(rows("go", files), workers=1).units if u.entry == "Mean"]
    assert [str(p.type) for p in unit.signature.parameters] == ["list[float]"]
    assert str(unit.signature.returns) == "float"
    assert "func (f Floats) Len()" in unit.program.code
    assert '"os"' not in unit.program.code
    assert reasons("go", files)["Bad"] == "imports: os"


def test_go_takes_a_function_of_its_package_that_has_the_name_of_a_later_builtin():
    files = {
        "s/a.go": "package s\n\nfunc Least(a, b, c int) int { return min(a, min(b, c)) + len([]int{}) }\n",
        "s/b.go": "package s\n\nfunc min(a, b int) int {\n\tif a < b {\n\t\treturn a\n\t}\n\treturn b\n}\n",
    }
    assert "func min(" in cut("go", files)["Least"]


def test_rust_follows_use_and_implementations():
    files = {
        "src/lib.rs": "mod help;\nuse help::twice;\nuse std::cmp::max;\n"
        "/// Doc.\npub fn f(a: &str, b: Vec<i64>) -> Result<usize, String> { Ok(max(twice(a.len()), b.len())) }\n",
        "src/help.rs": "pub fn twice(a: usize) -> usize { let b = a; b + a }\n",
    }
    [unit] = [u for u in extract(rows("rust", files), workers=1).units if u.entry == "f"]
    assert [str(p.type) for p in unit.signature.parameters] == ["str", "list[int64]"]
    assert str(unit.signature.returns) == "uint64"
    assert "pub fn twice" in unit.program.code
    assert "use std::cmp::max;" in unit.program.code


def test_java_takes_only_the_overload_and_the_helpers_it_needs():
    files = {
        "a/b/M.java": "package a.b;\nimport java.util.List;\npublic class M {\n  private static final int K = 3;\n"
        "  public static int f(int a) { if (a < 0) { throw new MathE(Texts.NEG, a); } return g(a, K) + H.up(a); }\n"
        "  static int g(int a, int b) { return a * b; }\n  static int g(String s) { return unknown(s); }\n"
        "  private int state;\n  public int h(int a) { return a + state; }\n}\n",
        "a/b/H.java": "package a.b;\nclass H { static int up(int a) { int b = a; return b + 1; } }\n",
    }
    found = cut("java", files)
    assert "class H" in found["M.f"]
    assert "class MathE extends RuntimeException" in found["M.f"]
    assert "Texts" not in found["M.f"]
    assert "unknown" not in found["M.f"]
    assert "java.util.List" not in found["M.f"]
    assert reasons("java", files)["M.h"] == "method: uses the state of its object"


def test_csharp_joins_partial_classes():
    files = {
        "C.A.cs": "using System;\nnamespace N { public static partial class C {\n"
        "  public static int F(int a) { return G(a) + K; }\n  public static int O(ref int a) { return a; } } }\n",
        "C.B.cs": "namespace N { public static partial class C {\n  private const int K = 2;\n"
        "  private static int G(int a) { return a * a; } } }\n",
    }
    code = cut("csharp", files)["C.F"]
    assert "int G(int a)" in code
    assert "K = 2" in code
    assert reasons("csharp", files)["C.O"].startswith("signature")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_whole_syntax_and_survives_nonsense(language: str):
    found = syntax(language)
    for name in ("read", "alias", "assemble", "canonical"):
        assert callable(getattr(found, name))
    assert not found.BUILTINS & set(found.DENIED)
    assert found.canonical("Some<Thing[") is None
    assert extract(rows(language, {"a" + LANGUAGES[language].extensions[0]: "}{ ((( '\n"}), workers=1).units == ()


@pytest.mark.parametrize(
    ("language", "code", "entry", "qualified"),
    [
        (
            "java",
            "class Solution { public boolean ok(List<Double> a, double b) { return true; } }",
            "ok",
            "Solution.ok",
        ),
        ("csharp", "namespace N { class P { public static bool Ok(int n) { return n > 1; } } }", "Ok", "P.Ok"),
        ("rust", "fn ok(a: Vec<f32>) -> bool { true }", "ok", "ok"),
        ("go", "package main\nfunc Ok(a []int) int { return len(a) }", "Ok", "Ok"),
        ("javascript", "const ok = (a, b = 2) => a + b;", "ok", "ok"),
    ],
)
def test_a_signature_is_inferred_from_code_alone(language: str, code: str, entry: str, qualified: str):
    program, signature, _ = infer(language, code, entry)
    assert program.entry == qualified
    assert signature.parameters


def test_a_function_that_is_not_there_is_named():
    with pytest.raises(BadInput, match="no such function in the python code; it has: f"):
        infer("python", "def f(x):\n    return x\n", "g")


@pytest.mark.parametrize(
    ("language", "code", "trivial"),
    [
        ("python", "def f(a, b):\n    return a + b\n", True),
        ("python", "def f(a, b):\n    return a * a + b\n", False),
        ("javascript", "function f(a) { return !a; }", True),
        ("go", "package p\nfunc f(a int, b int) int { return a + b }", True),
        ("java", "class A { static int f(int a) { return Math.abs(a); } }", True),
    ],
)
def test_wrappers_of_one_operator_are_trivial(language: str, code: str, trivial: bool):
    assert bool(infer(language, code, "f")[2]) is trivial


def test_names_and_literals():
    assert name_parts("toSnakeCase2HTTP") == ["to", "snake", "case", "2", "http"]
    assert literals_of("x = 0x10 + 2.5; s = 'ab'; t = \"c d\"") == (16, 2.5, "ab", "c d")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("to_snake_case", "snakeCase"),
        ("levenshtein_distance", "levenshtein"),
        ("last_index_of", "LastIndexOfInt64"),
        ("_gcd", "GCDUint32"),
    ],
)
def test_names_fold_to_what_they_do(one: str, other: str):
    assert folded(one) == folded(other)
    assert folded("to_string") == "string"
    assert folded("easeInOut") != folded("easeOut")


@pytest.mark.parametrize(
    "body",
    ["x % 2 == 0", "str(x).lower()", "next(iter(x))", "bool(x > 1)", "cast(float, x * (math.pi / 180))"],
)
def test_conversions_and_constants_are_no_work(body: str):
    assert infer("python", f"import math\nfrom typing import cast\n\ndef f(x):\n    return {body}\n", "f")[2]


def test_csharp_is_read_past_directives_and_unsafe_code():
    text = """
namespace N {
    public static class M {
#region Roots
#if NET_1 || (FAST && !SLOW)
        public static int Old(int n) { return n + 1; }
#elif !NET_1
        public static int New(int n) { return (int)System.Math.Sqrt(n + 1); }
#else
        public static int Never(int n) { return n; }
#endif
        public static float Fast(float x) { unsafe { int i = *(int*)&x; return *(float*)(&i + 1); } }
#endregion
        public static long Factorial(int n) { long result = 1; for (; n > 1; n--) result *= n; return result; }
    }
}
"""
    code = cut("csharp", {"m.cs": text})
    assert set(code) == {"M.New", "M.Factorial"}
    assert "#" not in code["M.Factorial"]
    assert "System.Math" not in code["M.New"]
    assert reasons("csharp", {"m.cs": text})["M.Fast"].startswith("unresolved")


def test_rust_takes_what_stands_in_for_an_optional_feature():
    text = (
        '#[cfg(feature = "unicode")]\nfn words(s: &str) -> Words { other::words(s) }\n'
        '#[cfg(not(feature = "unicode"))]\nfn words(s: &str) -> usize { s.lines().count() }\n'
        "pub fn f(s: &str) -> usize { let n = words(s); n + 1 }\n"
    )
    code = cut("rust", {"src/lib.rs": text})["f"]
    assert "s.lines()" in code
    assert "other::words" not in code


def test_rust_takes_what_lies_in_alloc_from_std():
    text = 'use alloc::string::String;\n\npub fn twice(s: &str) -> String {\n    format!("{}{}", s, s)\n}\n'
    assert "use std::string::String;" in cut("rust", {"src/lib.rs": text})["twice"]


@pytest.mark.parametrize(
    ("path", "head", "used"),
    [
        ("a/src/lib.rs", "extern crate b_c as other;\nuse other::twice;", "twice"),
        ("a/src/lib.rs", "use b_c as other;\nuse other::twice;", "twice"),
        ("a/src/lib.rs", "extern crate b_c;\nuse b_c::deep::thrice as twice;", "twice"),
        ("b-c/tests/all.rs", "use b_c::twice;", "twice"),
        ("b-c/src/mod.rs", "use deep::thrice as twice;", "twice"),
        ("b-c/src/deep/mod.rs", "use below::twice;", "twice"),
    ],
)
def test_rust_follows_crates_and_modules_wherever_they_lie(path: str, head: str, used: str):
    files = {
        "b-c/src/lib.rs": "pub fn twice(a: i64) -> i64 { let b = a; b + a }\n",
        "b-c/src/deep.rs": "pub fn thrice(a: i64) -> i64 { let b = a; b + a + a }\n",
        "b-c/src/deep/below.rs": "pub fn twice(a: i64) -> i64 { let b = a; b + a }\n",
        path: f"{head}\npub fn f(x: i64) -> i64 {{ {used}(x) + {used}(x) }}\n",
    }
    found = cut("rust", files)["f"]
    assert "pub fn twice" in found or "pub fn thrice" in found
    assert "extern crate" not in found


def test_rust_finds_values_inside_a_function_and_the_standard_library_by_another_name():
    text = "extern crate core as base;\nuse base::cmp::max;\npub fn f(i: usize) -> i64 {\n"
    text += "    static SCALE: [i64; 2] = [3, 4];\n    const ONE: i64 = 1;\n    max(SCALE[i], ONE)\n}\n"
    code = cut("rust", {"src/lib.rs": text})["f"]
    assert code.startswith("use std::cmp::max;")


def test_python_follows_modules_of_its_package_as_namespaces():
    files = {
        "p/__init__.py": "from . import a\n",
        "p/a.py": "BASE = 3\n\ndef up(x):\n    return x + BASE\n",
        "p/c.py": "from . import a\nfrom p import a as other\n\ndef g(x):\n    return a.up(x) * other.BASE\n",
    }
    space: dict = {}
    exec(compile(cut("python", files)["g"], "unit", "exec"), space)
    assert space["g"](2) == 15


def test_python_takes_builtins_decorators_and_generators():
    text = (
        "import builtins\nimport functools\n\ndef twice(f):\n    @functools.wraps(f)\n"
        "    def inner(*a):\n        return f(*a) * 2\n    return inner\n\n"
        "@twice\ndef max(a, b):\n    return builtins.max(a, b)\n\n"
        "def pairs(xs):\n    for x in xs:\n        yield (x, max(x, 3))\n"
    )
    space: dict = {}
    exec(compile(cut("python", {"a.py": text})["pairs"], "unit", "exec"), space)
    assert list(space["pairs"]([1])) == [(1, 6)]


@pytest.mark.parametrize(
    ("files", "entry", "wanted"),
    [
        ({"a.js": "var t = memo(function (s) { return s + 1; });\nfunction memo(f) { return f; }\n"
          "function g(s) { return t(s) * 2; }\n"}, "g", "var t = memo("),
        ({"m/a.js": "export default isNaN || ((x) => x);\n",
          "m/b.js": "import a from './a.js';\nexport const g = (x) => a(x) || x === 1;\n"}, "g", "const a = isNaN"),
        ({"a.js": "exports.f = f;\nfunction f(x) { return x * x; }\nfunction g(x) { return (0, exports.f)(x) + 1; }\n"},
         "g", "(0, f)(x)"),
        ({"a.js": "function* g(x) { for (const y of x) yield y + 1; }\n"}, "g", "yield y"),
        ({"a.js": "function g(y, m) { return new Date(Date.UTC(y, m, 1)).getUTCDay() + 1; }\n"}, "g", "Date.UTC"),
        ({"esm/h/_u.js": "export const up = (x) => x + 1;\n",
          "a/a.js": "import { up } from './h/_u.js';\nexport function g(x) { return up(x) * 2; }\n"}, "g", "const up"),
        ({"a.js": "import { Bad } from 'e';\nexport function g(x) { if (!x) throw new Bad({ x }); return x + 1; }\n"},
         "g", "class Bad extends Error {}\n\nfunction g(x) { if (!x) throw new Bad();"),
        ({"i.js": "export * as N from './n.js';\n", "n.js": "export const up = (x) => x + 1;\n",
          "a.js": "import { N } from './i.js';\nexport const g = (x) => N.up(x) * 2;\n"}, "g", "=> up(x) * 2"),
    ],
)  # fmt: skip
def test_javascript_reaches(files: dict[str, str], entry: str, wanted: str):
    assert wanted in cut("javascript", files)[entry]


@pytest.mark.parametrize("body", ["new Date().getTime() + x", "Date.now() + x", "Date() + x", "new Date + x"])
def test_javascript_turns_the_time_of_day_away(body: str):
    assert reasons("javascript", {"a.js": f"function f(x) {{ return {body}; }}\n"})["f"].startswith(
        "impure: depends on"
    )


def test_typescript_reads_past_names_in_types():
    text = "export function f(a: { [key: string]: number }, b: string): number { return (a[b] ?? 0) * 2 + 1; }\n"
    assert "f" in cut("typescript", {"a.ts": text})


def test_python_makes_the_object_that_a_method_needs():
    text = (
        'import os\n\ndef check(x):\n    return x * 1.0\n\n\nclass Money:\n    """An amount."""\n\n'
        "    rate = 2\n\n    def __init__(self, amount: int, unit=None):\n        self.amount = check(amount)\n\n"
        "    @property\n    def twice(self):\n        return self.times(self.rate)\n\n"
        "    # Multiplies.\n    def times(self, amount: int):\n        return self.amount * amount\n\n"
        "    def save(self, path):\n        return os.open(path)\n"
    )
    found = cut("python", {"a.py": text})
    space: dict = {}
    exec(compile(found["Money_times"], "unit", "exec"), space)
    assert space["Money_times"](3, 4) == 12.0
    assert "twice" not in found["Money_times"]
    exec(compile(found["Money_twice"], "unit", "exec"), space)
    assert space["Money_twice"](3) == 6.0
    assert reasons("python", {"a.py": text})["Money_save"] == "imports: os.py is not in the corpus"
    assert infer("python", text, "Money_times")[1].types is not None


def test_javascript_makes_the_object_that_a_method_needs():
    text = (
        "const rate = 2;\nexport class Money {\n  constructor(amount, unit = 'x') { this.amount = amount; }\n"
        "  get twice() { return this.times(rate) + 1; }\n  times(amount) { return this.amount * amount + 1; }\n"
        "  static of(text) { return new Money(Number(text)).times(2) + 1; }\n  set x(y) { return y; }\n}\n"
        "class Euro extends Money { times(n) { return super.times(n) + 1; } }\n"
    )
    found = cut("javascript", {"a.js": text})
    wanted = "function Money_times(amount, amount_) {\n  return new Money(amount).times(amount_);\n}"
    assert wanted in found["Money_times"]
    assert "return new Money(amount).twice;" in found["Money_twice"]
    assert "const rate = 2" in found["Money.of"]
    assert reasons("javascript", {"a.js": text}) == {"Euro_times": "method: inherits its constructor"}


def test_typescript_makes_the_object_that_a_method_needs():
    text = (
        "export class Money {\n  constructor(private readonly amount: number) {}\n"
        "  times(n: number[], m?: string): string { return String(this.amount * n[0]) + 'x'; }\n}\n"
    )
    [unit] = extract(rows("typescript", {"a.ts": text}), workers=1).units
    assert "function Money_times(amount: number, n: number[]) {" in unit.program.code
    assert [str(p.type) for p in unit.signature.parameters] == ["number", "list[number]"]
    assert str(unit.signature.returns) == "str"
    assert "call:money" not in unit.words


def test_javascript_makes_the_object_of_a_constructor_function():
    text = (
        "function Money(amount) { this.amount = amount; }\n"
        "Money.prototype.half = function () { return this.times(1) / 2; };\n"
        "Money.prototype.times = function (n) { return this.amount * n + 1; };\n"
        "Money.prototype.save = function (n) { return console.log(n) + 1; };\nmodule.exports = Money;\n"
    )
    found = cut("javascript", {"a.js": text})
    assert set(found) == {"Money_half", "Money_times"}
    assert "prototype.half" not in found["Money_times"]
    assert "prototype.times" in found["Money_half"]
    assert found["Money_half"].index("function Money(") < found["Money_half"].index("Money.prototype.half")


def test_java_makes_the_object_that_a_method_needs():
    text = (
        "package a;\nimport java.io.Serializable;\n/** An amount. */\npublic class Money implements Serializable {\n"
        "  private static final int K = 2;\n  private final int amount;\n"
        "  public Money(int amount) { this.amount = amount; }\n"
        "  public Money(File from) { this.amount = 1; }\n"
        "  public int times(int amount) { Money other = new Money(amount); return other.plus(K) * this.amount; }\n"
        "  private int plus(int n) { return half(n) + amount; }\n"
        "  static int half(int n) { return n / 2 + 0; }\n  int get() { return amount; }\n"
        "  void save() { System.out.println(amount); }\n}\n"
    )
    found = extract(rows("java", {"a/Money.java": text.replace("File from", "long from, String b")}), workers=1).units
    ways = [u.program.code for u in found if u.entry == "Called.Money_times"]
    [code] = [c for c in ways if "return new Money(amount).times(amount_);" in c]
    assert len(ways) == 2
    assert "class Money implements Serializable" in code
    assert "import java.io.Serializable;" in code
    assert "private int plus" in code
    assert "int half" in code
    assert "println" not in code
    assert "public class" not in code
    [unit] = [u for u in found if u.entry == "Called.Money_get" and len(u.signature.parameters) == 1]
    assert unit.trivial
    assert "impure" in reasons("java", {"a/Money.java": text})["Called.Money_times"]


def test_csharp_makes_the_object_that_a_method_needs():
    text = (
        "using System;\nnamespace N {\n  public struct Money : IEquatable<Money> {\n    readonly int amount;\n"
        "    public int Twice { get { return amount * 2; } }\n"
        "    public Money(int amount) { this.amount = amount; }\n"
        "    public bool Equals(Money m) { return m.amount == amount; }\n"
        "    public int Times(int n) { return this.Plus(n) * Twice; }\n    int Plus(int n) { return n + amount; }\n"
        "    public void Save() { Console.WriteLine(amount); }\n  }\n}\n"
    )
    code = cut("csharp", {"a.cs": text})["Called.Money_Times"]
    assert "return new Money(amount).Times(n);" in code
    assert "public int Twice" in code
    assert "bool Equals" in code
    assert "Console" not in code
    assert reasons("csharp", {"a.cs": text})["Money.Times"] == "method: uses the state of its object"
    assert reasons("csharp", {"a.cs": text})["Money.Plus"] == "method: uses the state of its object"


def test_csharp_methods_lose_what_ties_them_to_their_class():
    text = (
        "using System.Runtime.InteropServices;\nclass A : B {\n"
        "  [Test] public override int F(int a) { U u = new U(); u.i = a; return u.j * 2; }\n"
        "  public int G(int i) { return this[i] + 1; }\n"
        "  [StructLayout(LayoutKind.Explicit)] struct U "
        "{ [FieldOffset(0)] public int i; [FieldOffset(0)] public int j; }\n}\n"
    )
    code = cut("csharp", {"a.cs": text})["A.F"]
    assert "override" not in code
    assert "[Test]" not in code
    assert "[StructLayout(LayoutKind.Explicit)] struct U" in code
    assert "using System.Runtime.InteropServices;" in code
    assert reasons("csharp", {"a.cs": text})["A.G"] == "method: uses the state of its object"


def test_rust_takes_or_makes_the_object_that_a_method_needs():
    text = (
        "pub trait Twice { fn twice(&self, n: usize) -> String; }\n"
        "impl Twice for str { fn twice(&self, n: usize) -> String { self.repeat(n * 2) } }\n"
        "pub struct Money { amount: i64 }\nimpl Money {\n    pub fn new(amount: i64) -> Self { Money { amount } }\n"
        "    pub fn times(&self, amount: i64) -> i64 { self.amount * amount + 1 }\n"
        "    pub fn half(n: i64) -> i64 { n / 2 + 1 }\n"
        "    fn add(&mut self, n: i64) -> i64 { self.amount += n; n }\n}\n"
    )
    found = extract(rows("rust", {"src/lib.rs": text}), workers=1).units
    code = {u.entry: u.program.code for u in found}
    assert set(code) == {"twice", "Money_times", "Money::half"}
    assert "pub fn twice(of: &str, n: usize) -> String {\n    <str as Twice>::twice(of, n)" in code["twice"]
    assert "pub trait Twice" in code["twice"]
    assert "Money::new(amount).times(amount_)" in code["Money_times"]
    assert [str(p.type) for u in found if u.entry == "twice" for p in u.signature.parameters] == [
        "str",
        "uint64",
    ]


def test_go_takes_or_makes_the_object_that_a_method_needs():
    text = (
        "package a\n\ntype Floats []float64\n\nfunc (f Floats) Sum(s float64) (float64, error) {\n"
        "\tfor _, v := range f {\n\t\ts += v\n\t}\n\treturn s, nil\n}\n\ntype Money struct{ amount int }\n\n"
        "func NewMoney(amount int) *Money { return &Money{amount} }\n\n"
        "func (m *Money) Times(amount int) int { return m.amount * amount + 1 }\n\ntype Bare struct{ x int }\n\n"
        "func (b Bare) Up(n int) int { return b.x + n * 2 }\n"
    )
    found = extract(rows("go", {"a/a.go": text}), workers=1).units
    code = {u.entry: u.program.code for u in found}
    assert set(code) == {"Floats_Sum", "Money_Times", "NewMoney"}
    assert "func Floats_Sum(of Floats, s float64) (float64, error) {\n\treturn of.Sum(s)\n}" in code["Floats_Sum"]
    assert "of := NewMoney(amount)\n\treturn of.Times(amount_)" in code["Money_Times"]
    assert [str(p.type) for p in found[0].signature.parameters] == ["list[float]", "float"]
    assert reasons("go", {"a/a.go": text})["Bare.Up"] == "method: needs an instance"


def test_rust_follows_names_through_modules_and_patterns():
    files = {
        "src/lib.rs": "pub mod sizes;\nmod ends;\npub enum Way { Up { by: usize }, Down }\n"
        "pub fn f(n: usize) -> usize {\n    enum Mode { On, Off }\n    use self::Way::{Down, Up};\n"
        "    let way = if n > 3 { Up { by: n } } else { Down };\n"
        "    let mode = if n > 4 { Mode::On } else { Mode::Off };\n"
        "    let last = match mode { Mode::On => 1, Mode::Off => ends::last(n) };\n"
        "    match way { Way::Up { by } => sizes::add(by, last), Way::Down => alloc::vec![n].len() }\n}\n",
        "src/sizes.rs": "pub fn add(a: usize, b: usize) -> usize { super::ends::last(a) + b }\n",
        "src/ends.rs": "pub fn last(n: usize) -> usize { n.saturating_sub(1) }\n",
    }
    code = cut("rust", files)["f"]
    assert "Way::Up { by } => add(by, last)" in code
    assert "Mode::Off => last(n)" in code
    assert "{ last(a) + b }" in code
    assert "std::vec![n]" in code


def test_rust_gives_what_its_own_iterators_yield():
    text = (
        "pub struct Twice<I: Iterator> { of: I }\n"
        "pub type Alias<I> = Twice<I>;\n"
        "pub fn twice<I>(of: I, more: I::Item) -> Alias<I> where I: Iterator { Twice { of } }\n"
        "pub struct Plain<I> { of: I }\npub fn plain<I: Iterator>(of: I) -> Plain<I> { Plain { of } }\n"
        "impl<I: Iterator> Iterator for Twice<I> {\n    type Item = I::Item;\n"
        "    fn next(&mut self) -> Option<I::Item> { self.of.next(); self.of.next() }\n}\n"
    )
    found = {u.entry: u for u in extract(rows("rust", {"src/lib.rs": text}), workers=1).units}
    assert "fn next" in found["twice"].program.code
    assert [str(p.type) for p in found["twice"].signature.parameters] == ["list[any]", "any"]
    assert not found["twice"].trivial  # what it does is done in `next`
    assert found["plain"].trivial


def test_rust_offers_what_a_trait_gives_to_all_iterators():
    text = (
        "use other::Unknown;\n"
        "pub trait More: Iterator + Unknown {\n"
        "    fn ends(self, by: Self::Item) -> Vec<Self::Item> where Self: Sized, Self::Item: Clone {\n"
        "        let mut all: Vec<_> = self.collect();\n        all.push(by);\n        all\n    }\n"
        "    fn each<F: FnMut(Self::Item) -> u8>(self, f: F) -> u8 { 1 }\n"
        "    fn again(self) -> Vec<Self::Item> where Self: Sized { helper::again(self) }\n}\n"
        "impl<T> More for T where T: Iterator {}\n"
    )
    files = {"src/lib.rs": text}
    code = cut("rust", files)
    assert set(code) == {"ends"}
    assert (
        "pub fn ends<Item>(of: Vec<Item>, by: Item) -> Vec<Item>\nwhere\n    Item: Clone,\n"
        "{\n    of.into_iter().ends(by)\n}" in code["ends"]
    )
    assert "pub trait More: Iterator +  {" in code["ends"]  # what it asks for besides is not in the corpus
    assert "fn each" not in code["ends"]
    assert "impl<T> More for T where T: Iterator {}" in code["ends"]
    assert reasons("rust", files) == {"each": "signature: takes a function"}


def test_rust_offers_numbers_of_the_widest_type_that_a_macro_implements_a_trait_for():
    text = (
        "use outside::Num;\npub trait Whole: Sized + Num {\n    fn meet(&self, other: &Self) -> Self;\n"
        "    fn apart(&self) -> bool;\n}\n"
        "macro_rules! whole {\n    ($T:ty, $U:ty) => {\n        impl Whole for $T {\n"
        "            fn meet(&self, other: &Self) -> Self {\n                let mut m = *self;\n"
        "                while m > *other { m -= *other; }\n                m.twist()\n            }\n"
        "            fn apart(&self) -> bool { *self as $U > 3 && unknown(*self) }\n        }\n"
        "        #[cfg(test)]\n        mod checks { fn meet() {} }\n    };\n}\n"
        "whole!(i8, u8);\nwhole!(i64, u64);\nwhole!(u64, u64);\n"
        "trait Twist { fn twist(&self) -> Self; }\nimpl Twist for i64 { fn twist(&self) -> i64 { !*self } }\n"
        "impl Twist for u16 { fn twist(&self) -> u16 { !*self } }\n"
    )
    found = {u.entry: u for u in extract(rows("rust", {"src/lib.rs": text}), workers=1).units}
    code = found["meet"].program.code
    assert "pub fn meet(of: &i64, other: &i64) -> i64 {\n    <i64 as Whole>::meet(of, other)\n}" in code
    assert [str(p.type) for p in found["meet"].signature.parameters] == ["int64", "int64"]
    assert not found["meet"].trivial
    assert "impl Whole for i64 {" in code
    assert "impl Whole for i8" not in code
    assert "macro_rules" not in code
    assert "pub trait Whole: Sized +  {" in code
    assert "apart" not in code  # not called, and it cannot be cut
    assert "apart" not in found
    assert found["twist"].trivial


def test_rust_has_the_features_of_the_standard_library():
    text = (
        '#[cfg(feature = "std")]\nfn by() -> i64 { 2 }\n#[cfg(not(feature = "std"))]\nfn by() -> i64 { lost() }\n'
        "pub fn f(n: i64) -> i64 {\n"
        '    #[cfg(feature = "fast")]\n    fn guess(n: i64) -> i64 { quick::guess(n) }\n'
        '    #[cfg(not(feature = "fast"))]\n    #[inline]\n    fn guess(n: i64) -> i64 { n / 2 }\n'
        "    guess(n) * by()\n}\n"
    )
    code = cut("rust", {"src/lib.rs": text})["f"]
    assert "quick" not in code
    assert "n / 2" in code
    assert "lost" not in code


def test_java_takes_values_that_are_imported_by_their_own_names():
    files = {
        "a/Sizes.java": "package a;\nimport static a.Wire.*;\nimport static a.Wire.FIXED;\nimport static a.Wire.MOST;\n"
        "class Sizes {\n    static int of(int tag) { return tag * 2 + FIXED; }\n"
        "    static int own(int MOST) { return MOST * 2 + 1; }\n}\n",
        "a/Wire.java": "package a;\nclass Wire {\n    static final int FIXED = 4 + 0;\n"
        "    static final int MOST = 10;\n}\n",
    }
    code = cut("java", files)
    assert "return tag * 2 + Wire.FIXED;" in code["Sizes.of"]
    assert "static final int FIXED = 4 + 0;" in code["Sizes.of"]
    assert "MOST * 2 + 1" in code["Sizes.own"]
    assert "Wire" not in code["Sizes.own"]
