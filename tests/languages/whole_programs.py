"""Small whole programs in all seven languages, by hand: what they do, and one near miss of each kind."""

from __future__ import annotations

TOTAL_PY = """import sys


def main():
    total = 0
    for line in sys.stdin:
        for word in line.split():
            total += int(word)
    print(total)


if __name__ == "__main__":
    main()
"""
TOTAL_GO = """package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

func main() {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Split(bufio.ScanWords)
	total := 0
	for scanner.Scan() {
		n, err := strconv.Atoi(scanner.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		total += n
	}
	fmt.Println(total)
}
"""
TOTAL_GO_POSITIVE = TOTAL_GO.replace("total += n", "if n > 0 {\n\t\t\ttotal += n\n\t\t}")

WORDS_PY = """from collections import Counter
import sys

counts = Counter(sys.stdin.read().lower().split())
for word, count in sorted(counts.items()):
    print(word, count)
"""
WORDS_RUST = """use std::collections::BTreeMap;
use std::io::{self, Read};

fn main() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in text.to_lowercase().split_whitespace() {
        *counts.entry(word.to_string()).or_insert(0) += 1;
    }
    for (word, count) in &counts {
        println!("{} {}", word, count);
    }
}
"""
WORDS_RUST_CASED = WORDS_RUST.replace("text.to_lowercase().split_whitespace()", "text.split_whitespace()")

FIZZ_PY = """n = int(input())
for i in range(1, n + 1):
    line = ""
    if i % 3 == 0:
        line += "Fizz"
    if i % 5 == 0:
        line += "Buzz"
    print(line or i)
"""
FIZZ_JS = """const lines = require('fs').readFileSync(0, 'utf8').split('\\n');
if (!/^\\s*[-+]?\\d+\\s*$/.test(lines[0])) throw new Error('not a number');
const n = parseInt(lines[0], 10);
for (let i = 1; i <= n; i++) {
  if (i % 15 === 0) console.log('FizzBuzz');
  else if (i % 5 === 0) console.log('Buzz');
  else if (i % 3 === 0) console.log('Fizz');
  else console.log(i);
}
"""
FIZZ_JS_SHORT = FIZZ_JS.replace("i <= n", "i < n")

BRACKETS_PY = """import sys

PAIRS = {")": "(", "]": "[", "}": "{"}
for line in sys.stdin:
    stack = []
    good = True
    for c in line.strip():
        if c in "([{":
            stack.append(c)
        elif c in PAIRS:
            if not stack or stack.pop() != PAIRS[c]:
                good = False
                break
    print("YES" if good and not stack else "NO")
"""
BRACKETS_JAVA = """import java.util.*;

public class Brackets {
    static boolean balanced(String line) {
        Deque<Character> stack = new ArrayDeque<>();
        for (char c : line.toCharArray()) {
            switch (c) {
                case '(': stack.push(')'); break;
                case '[': stack.push(']'); break;
                case '{': stack.push('}'); break;
                case ')': case ']': case '}':
                    if (stack.isEmpty() || stack.pop() != c) return false;
                    break;
                default:
            }
        }
        return stack.isEmpty();
    }

    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        while (in.hasNextLine()) {
            System.out.println(balanced(in.nextLine()) ? "YES" : "NO");
        }
    }
}
"""
BRACKETS_JAVA_COUNTING = BRACKETS_JAVA.replace(
    "if (stack.isEmpty() || stack.pop() != c) return false;", "if (stack.isEmpty()) return false; stack.pop();"
)

LARGEST_PY = """n = int(input())
best = None
for _ in range(n):
    x = int(input())
    if best is None or x > best:
        best = x
print("largest:", best if best is not None else "none")
"""
LARGEST_CS = """using System;

int n = int.Parse(Console.ReadLine());
int? best = null;
for (int i = 0; i < n; i++)
{
    int x = int.Parse(Console.ReadLine());
    if (best == null || x > best) best = x;
}
Console.WriteLine("largest: " + (best == null ? "none" : best.ToString()));
"""
LARGEST_CS_ZERO = LARGEST_CS.replace("int? best = null;", "int? best = n > 0 ? 0 : (int?)null;")

MEAN_PY = """import sys

numbers = [float(x) for x in sys.stdin.read().split()]
print(len(numbers))
print(sum(numbers) / len(numbers))
"""
MEAN_TS = """import { readFileSync } from 'fs';

function numbers(text: string): number[] {
  return text.split(/\\s+/).filter((x) => x.length > 0).map((x) => {
    const n: number = Number(x);
    if (Number.isNaN(n)) throw new Error(`bad number ${x}`);
    return n;
  });
}

const given: number[] = numbers(readFileSync(0, 'utf8'));
if (given.length === 0) throw new Error('no numbers');
console.log(given.length);
console.log(given.reduce((a, b) => a + b, 0) / given.length);
"""
MEAN_TS_MEDIAN = MEAN_TS.replace(
    "given.reduce((a, b) => a + b, 0) / given.length", "given.sort((a, b) => a - b)[given.length >> 1]"
)

HELLO_PY = "print('hello')\n"
HELLO_GO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'

PAIRS: dict[str, tuple[str, str, str, str, str]] = {
    "total": ("equivalent", "python", TOTAL_PY, "go", TOTAL_GO),
    "total of the positive": ("different", "python", TOTAL_PY, "go", TOTAL_GO_POSITIVE),
    "words": ("equivalent", "python", WORDS_PY, "rust", WORDS_RUST),
    "words by case": ("different", "python", WORDS_PY, "rust", WORDS_RUST_CASED),
    "fizz": ("equivalent", "python", FIZZ_PY, "javascript", FIZZ_JS),
    "fizz but the last": ("different", "python", FIZZ_PY, "javascript", FIZZ_JS_SHORT),
    "brackets": ("equivalent", "python", BRACKETS_PY, "java", BRACKETS_JAVA),
    "brackets of any kind": ("different", "python", BRACKETS_PY, "java", BRACKETS_JAVA_COUNTING),
    "largest": ("equivalent", "python", LARGEST_PY, "csharp", LARGEST_CS),
    "largest above zero": ("different", "python", LARGEST_PY, "csharp", LARGEST_CS_ZERO),
    "mean": ("equivalent", "python", MEAN_PY, "typescript", MEAN_TS),
    "median": ("different", "python", MEAN_PY, "typescript", MEAN_TS_MEDIAN),
    "hello": ("insufficient", "python", HELLO_PY, "go", HELLO_GO),
    "words and total": ("different", "rust", WORDS_RUST, "go", TOTAL_GO),
}
"""Name to the verdict, and language and code of both sides."""
