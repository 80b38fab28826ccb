from __future__ import annotations

import pytest

from parallel_mining.drivers.rust.macros import expansion


def squeezed(macro: str, arguments: str) -> str | None:
    text = expansion(macro, arguments)
    return None if text is None else " ".join(text.replace(";p", "; p").split())


@pytest.mark.parametrize(
    ("macro", "arguments", "text"),
    [
        (
            "($t:ty, $v:expr) => { impl Zero for $t { fn zero() -> $t { $v } } }",
            "i64, 0 + 1",
            "fn zero() -> i64 { 0 + 1 }",
        ),
        (
            "($name:ident for $($t:ty)*) => ($( impl $name for $t {} )*)",
            "Odd for u8 u16",
            "impl Odd for u8 {} impl Odd for u16 {}",
        ),
        ("($($t:ty),+ $(,)?) => { $( impl A for $t {} )+ }", "Vec<u8>, &'static str,", "impl A for &'static str {}"),
        ("($a:tt => $b:tt) => { fn $a() -> u8 { $b } }", "x => {1}", "fn x() -> u8 { {1} }"),
        (
            "($t:ty) => { one!($t, u8); }; ($t:ty, $u:ty) => { impl A<$u> for $t {} }",
            "i8, u16",
            "impl A<u16> for i8 {}",
        ),
        ("() => { fn f() { $crate::g(\"}\", '{') } }", "", "fn f() { crate::g(\"}\", '{') }"),
        (
            "($($k:ident: $($v:literal)|*),*) => { $( fn $k() { $(p($v);)* } )* }",
            "a: 1 | 2, b: -3",
            "fn a() { p(1); p(2); } fn b() { p(-3); }",
        ),
    ],
)
def test_a_call_stands_for_its_text(macro: str, arguments: str, text: str):
    assert text in (squeezed(f"macro_rules! one {{ {macro} }}", arguments) or "")


@pytest.mark.parametrize(
    ("macro", "arguments"),
    [
        ("($t:ty) => { impl A for $t {} }", "i64, u8"),
        ("($t:ident) => { impl A for $t {} }", "&str"),
        ("($t:ty) => { impl $unknown for $t {} }", "i64"),
        ("($p:vis) => { $p fn f() {} }", "pub"),
        ("($t:ty) => { impl A for $t {} ", "i64"),
        ("($($t:ty)+) => { $( impl A for $t {} )+ }", ""),
    ],
)
def test_what_cannot_be_told_is_none(macro: str, arguments: str):
    assert expansion(f"macro_rules! one {{ {macro} }}", arguments) is None
