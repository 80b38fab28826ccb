"""Rust's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "int32"
STRICT_ARITY = True
SAMPLES: dict[str, tuple[str, str]] = {
    "add": ("f", "fn f(a: i32, b: i32) -> i32 { a + b }"),
    "shout": ("f", 'pub fn f(s: &str) -> String { println!("R 0 0 v n"); format!("{}!", s) }'),
    "fail": ("f", 'fn f(_a: i32) -> Result<i32, String> { Err("no é".to_string()) }'),
    "hang": ("f", "fn f(a: i32) -> i32 { while a < 2 { std::hint::spin_loop() } a }"),
    "syntax": ("f", "fn f(a: i32 -> i32 { a }"),
    "unknown": ("f", "use nosuch::thing; fn f(a: i32) -> i32 { a }"),
    "missing": ("f", "fn g(a: i32) -> i32 { a }"),
    "floats": ("f", "fn f(x: f64) -> [f64; 4] { [x * 0.0, f64::INFINITY * x, f64::NAN, x / 3.0] }"),
    "narrow": ("f", "fn f(a: i32) -> i32 { a.wrapping_mul(2) }"),
    "transpose": (
        "M::f",
        "struct M; impl M { fn f<T: Clone>(m: &[Vec<T>]) -> Vec<Vec<T>> {"
        " (0..m[0].len()).map(|j| m.iter().map(|r| r[j].clone()).collect()).collect() } }",
    ),
    "count": (
        "f",
        "use std::collections::HashMap;\nfn f<'a>(a: &[&'a str]) -> HashMap<&'a str, usize> {"
        " let mut m = HashMap::new(); for s in a { *m.entry(*s).or_insert(0) += 1; } m }",
    ),
    "halve": ("f", "fn f(a: i32) -> Option<i32> { if a % 2 != 0 { None } else { Some(a / 2) } }"),
    "sorted": ("f", "fn f(a: &mut Vec<i32>) -> i32 { a.sort(); a[0] }"),
    "random": (
        "f",
        "fn f(_a: i32) -> u32 { std::process::id() ^ std::time::Instant::now().elapsed().subsec_nanos() }",
    ),
    "stateful": (
        "f",
        "use std::sync::atomic::{AtomicI32, Ordering};\nstatic N: AtomicI32 = AtomicI32::new(0);\n"
        "fn f(_a: i32) -> i32 { N.fetch_add(1, Ordering::SeqCst) + 1 }",
    ),
    "leave": ("f", "fn f(a: i32) -> i32 { if a != 0 { std::process::exit(0) } a }"),
}
WHOLES: dict[str, str] = {
    "sum": (
        "use std::io::{self, BufRead};\n\nmod adding { pub fn add(a: i64, b: i64) -> i64 { a + b } }\n\n"
        "fn main() -> Result<(), Box<dyn std::error::Error>> { let mut t = 0;\n"
        "for line in io::stdin().lock().lines() { for x in line?.split_whitespace() {\n"
        't = crate::adding::add(t, x.parse()?); } }\nprintln!("{}", t); Ok(()) }\n'
    ),
    "repeat": (
        "use std::io::Read;\n\nfn main() { let mut s = String::new();\n"
        'std::io::stdin().read_to_string(&mut s).unwrap(); print!("{}!", s); }\n'
    ),
    "leave": (
        'fn main() { let mut s = String::new(); println!("so far");\n'
        "if std::io::stdin().read_line(&mut s).unwrap() > 0 { std::process::exit(3); } }\n"
    ),
    "raise": 'fn main() { panic!("no é"); }\n',
    "spin": (
        "fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap();\n"
        'while !s.trim().is_empty() {}\nprintln!("done"); }\n'
    ),
    "flood": 'fn main() { loop { println!("{}", "x".repeat(1000)); } }\n',
    "grow": (
        "fn main() { let mut a = vec![1u64]; loop { let b = a.clone(); a.extend(b);\n"
        'if a.len() == 3 { println!("{:?}", a); } } }\n'
    ),
    "octets": "use std::io::Write;\n\nfn main() { std::io::stdout().write_all(&[255, 10]).unwrap(); }\n",
    "fresh": (
        "use std::sync::atomic::{AtomicUsize, Ordering};\n\nstatic N: AtomicUsize = AtomicUsize::new(1);\n\n"
        'fn main() { println!("{}", N.fetch_add(1, Ordering::SeqCst)); }\n'
    ),
    "wrong": "fn main( { }\n",
    "no_main": "fn start() { }\n",
}
