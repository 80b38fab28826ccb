"""Mutants are one small change each, in what the entry runs and nowhere else, in every language."""

from __future__ import annotations

import pytest

from parallel_mining import trees
from parallel_mining.mutants import Mutant, mutants
from parallel_mining.pairs import Program
from parallel_mining.units import syntax

CODE = {
    "python": """\
def unused(a):
    return a * 7


def twice(a):
    return a + a


def f(a, b):
    \"\"\"Return 1 of 2.\"\"\"
    if a < 3 and b:
        raise ValueError("not 5 of them")
    elif ready(a): return twice(a)
    while a > b:
        b += 1
    return "yes" if a else "no"
""",
    "java": """\
class A {
    static int unused(int a) { return a * 7; }
    static int twice(int a) { return a + a; }
    /** Returns 1 of 2. */
    static String f(int a, int b) {
        if (a < 3 && b > 0) throw new IllegalArgumentException("not 5");
        else if (ready(a)) { twice(a); }
        while (a > b) b += 1;
        switch (a) { case 9: b = 1; break; default: b = 2; }
        return a == 4 ? "yes" : "no";
    }
}
""",
    "javascript": """\
function unused(a) { return a * 7; }
const twice = (a) => a + a;
// 1 of 2
function f(a, b) {
  if (a < 3 && b) throw new Error("not 5");
  else if (ready(a)) twice(a);
  while (a > b) { b += 1 }
  switch (a) { case 9: b = 1; break; default: b = 2; }
  return a === 4 ? "yes" : "no";
}
""",
    "csharp": """\
class A {
    static int Unused(int a) { return a * 7; }
    static int twice(int a) => a + a;
    static string f(int a, int b) {
        if (a < 3 && b > 0) throw new System.ArgumentException("not 5");
        else if (ready(a)) { twice(a); }
        while (a > b) b += 1;
        switch (a) { case 9: b = 1; break; default: b = 2; break; }
        return a == 4 ? "yes" : "no";
    }
}
""",
    "go": """\
package p

func unused(a int) int { return a * 7 }

func twice(a int) int { return a + a }

// f is 1 of 2.
func f(a int, b int) string {
	if a < 3 && ready(b) {
		twice(a)
	}
	for a > b {
		b += 1
	}
	switch a {
	case 9:
		b = 1
	default:
		b = 2
	}
	if a == 4 {
		return "yes"
	}
	return "no"
}
""",
    "rust": """\
fn unused(a: i64) -> i64 { a * 7 }
fn twice(a: i64) -> i64 { a + a }
/// 1 of 2
fn f(a: i64, mut b: i64) -> String {
    if a < 3 && ready(b) { panic!("not 5"); }
    if ready(a) { twice(a); }
    while a > b { b += 1; }
    let c = match a { 9 => 1, _ => { 2 } };
    if a == 4 { "yes".to_string() } else { "no".to_string() }
}
""",
}
CODE["typescript"] = CODE["javascript"].replace("f(a, b)", "f(a: number, b: number)")


def made(language: str, most: int = 1000, seed: int = 1) -> tuple[Mutant, ...]:
    return mutants(Program(language, CODE[language], "f"), syntax(language).WORDING, most=most, seed=seed)


@pytest.mark.parametrize("language", CODE)
def test_a_mutant_is_one_change_that_still_parses(language):
    found = made(language)
    assert len({mutant.program.code for mutant in found}) == len(found) > 10
    for mutant in found:
        assert mutant.program.code != CODE[language]
        assert not trees.parse(language, mutant.program.code).root.has_error, str(mutant)
    assert {m.kind for m in found} >= {"relation", "arithmetic", "logic", "number", "text", "statement", "block"}


@pytest.mark.parametrize("language", CODE)
def test_only_what_the_entry_runs_is_changed_and_no_words(language):
    found = made(language)
    lines = CODE[language].splitlines()
    changed = " ".join(lines[mutant.line - 1] for mutant in found)
    assert "nused" not in changed
    assert "a + a" not in changed  # of what it calls only where it has hardly anything itself
    assert "1 of 2" not in changed
    assert not any("not 5" in mutant.was and mutant.kind not in ("block", "statement") for mutant in found)


@pytest.mark.parametrize("language", CODE)
def test_every_branch_can_be_made_to_fail(language):
    fails = syntax(language).WORDING.fails
    blocks = [mutant for mutant in made(language) if mutant.kind == "block"]
    assert all(mutant.program.code.count(fails) == CODE[language].count(fails) + 1 for mutant in blocks)
    looping = next(i for i, text in enumerate(CODE[language].splitlines(), 1) if "a > b" in text)
    assert {mutant.line for mutant in blocks} & {looping, looping + 1}


def test_of_more_than_are_wanted_a_sample_has_every_kind_and_is_the_same_again():
    some = made("python", most=6)
    assert len([mutant for mutant in some if mutant.kind != "block"]) == 6
    assert len({mutant.kind for mutant in some}) >= 6
    assert some == made("python", most=6)
    assert some != made("python", most=6, seed=2)


def test_what_a_short_entry_calls_is_changed_too_and_known_to_be_reached_or_not():
    code = "def f(a):\n    return g(a, True)\n\n\ndef g(a, b):\n    if b:\n        return a * 2\n    return a - 1\n"
    found = mutants(Program("python", code, "f"), syntax("python").WORDING, most=9, seed=1)
    changes = {str(mutant): mutant for mutant in found}
    inner, after = changes["line 7: * becomes +"], changes["line 8: - becomes +"]
    assert inner.reach is not None
    assert after.reach is not None
    assert f"    if b:\n        {syntax('python').WORDING.fails};\n        return" in inner.reach.code
    assert f"def g(a, b):\n    {syntax('python').WORDING.fails};\n    if b" in after.reach.code
    assert not [mutant for mutant in found if mutant.kind == "block"]


def test_a_program_without_its_entry_has_none():
    assert mutants(Program("go", CODE["go"], "absent"), syntax("go").WORDING, most=9, seed=1) == ()


def test_the_methods_of_a_type_that_a_function_makes_are_changed_but_not_what_is_said_of_its_size():
    code = (
        "struct Up { at: u8 }\n"
        "impl Iterator for Up {\n    type Item = u8;\n"
        "    fn next(&mut self) -> Option<u8> { if self.at > 9 { None } else { self.at += 1; Some(self.at) } }\n"
        "    fn size_hint(&self) -> (usize, Option<usize>) { (self.at as usize - 3, None) }\n}\n"
        "struct Other { at: u8 }\nimpl Other { fn up(&self) -> u8 { self.at - 7 } }\n"
        "fn f(at: u8) -> Up { Up { at } }\n"
    )
    found = mutants(Program("rust", code, "f"), syntax("rust").WORDING, most=100, seed=1)
    assert {mutant.line for mutant in found} == {4}
    assert not any(mutant.own for mutant in found)
