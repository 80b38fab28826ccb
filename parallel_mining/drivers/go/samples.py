"""Go's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "int32"
STRICT_ARITY = True
SAMPLES: dict[str, tuple[str, str]] = {
    "add": ("F", "package a\n\nfunc F(a, b int32) int32 { return a + b }\n"),
    "shout": (
        "F",
        'package a\n\nimport "fmt"\n\nfunc F(s string) string { fmt.Println("R 0 0 v n"); return s + "!" }\n',
    ),
    "fail": (
        "F",
        'package a\n\nimport "errors"\n\nfunc F(a int32) (int32, error) { return 0, errors.New("no é") }\n',
    ),
    "hang": ("F", "package a\n\nfunc F(a int32) int32 { for a < 2 {}; return a }\n"),
    "syntax": ("F", "package a\n\nfunc F(a int32 int32 { return a }\n"),
    "unknown": ("F", 'package a\n\nimport "no.such/thing"\n\nfunc F(a int32) int32 { return thing.X(a) }\n'),
    "missing": ("F", "package a\n\nfunc G(a int32) int32 { return a }\n"),
    "floats": (
        "F",
        'package a\n\nimport "math"\n\nfunc F(x float64) []float64 {'
        " return []float64{x * 0, math.Inf(1) * x, math.NaN(), x / 3} }\n",
    ),
    "narrow": ("f", "package a\n\nfunc f(a int32) int32 { return a * 2 }\n"),
    "transpose": (
        "F",
        "package a\n\nfunc F(m [][]int) [][]int { t := make([][]int, len(m[0]))\n"
        "for i := range m { for j := range m[i] { t[j] = append(t[j], m[i][j]) } }\nreturn t }\n",
    ),
    "count": (
        "F",
        "package a\n\nfunc F(a []string) map[string]int {\n"
        "m := map[string]int{}\nfor _, s := range a { m[s]++ }\nreturn m }\n",
    ),
    "halve": ("F", "package a\n\nfunc F(a int) *int { if a%2 != 0 { return nil }; h := a / 2; return &h }\n"),
    "sorted": ("F", 'package a\n\nimport "sort"\n\nfunc F(a []int) int { sort.Ints(a); return a[0] }\n'),
    "random": ("F", 'package a\n\nimport "time"\n\nfunc F(a int) int64 { return time.Now().UnixNano() }\n'),
    "stateful": ("F", "package a\n\nvar n int\n\nfunc F(a int) int { n++; return n }\n"),
    "leave": ("F", 'package a\n\nimport "os"\n\nfunc F(a int) int { if a != 0 { os.Exit(0) }; return a }\n'),
}
WHOLES: dict[str, str] = {
    "sum": (
        'package main\n\nimport (\n\t"bufio"\n\t"fmt"\n\t"os"\n)\n\nvar in = bufio.NewReader(os.Stdin)\n\n'
        "func main() { t, x := 0, 0\nfor { if _, err := fmt.Fscan(in, &x); err != nil { break }\nt += x }\n"
        "fmt.Println(t) }\n"
    ),
    "repeat": (
        'package main\n\nimport (\n\t"fmt"\n\t"io"\n\t"os"\n)\n\n'
        'func main() { all, _ := io.ReadAll(os.Stdin); fmt.Print(string(all) + "!") }\n'
    ),
    "leave": (
        'package main\n\nimport (\n\t"fmt"\n\t"os"\n)\n\nvar given [1]byte\nvar size int\n\n'
        # What reads before `main` must not read another program's input.
        "func init() { size, _ = os.Stdin.Read(given[:]) }\n\n"
        'func main() { fmt.Println("so far"); if size > 0 { os.Exit(3) } }\n'
    ),
    "raise": 'package main\n\nfunc main() { panic("no é") }\n',
    "spin": (
        'package main\n\nimport "fmt"\n\nfunc main() { s := ""; fmt.Scanln(&s); for s != "" {}; fmt.Println("done") }\n'
    ),
    "flood": 'package main\n\nimport "fmt"\n\nfunc main() { for { fmt.Println(make([]int, 1000)) } }\n',
    "grow": (
        'package main\n\nimport "fmt"\n\nfunc main() { a := []int{1}; for { a = append(a, a...)\n'
        "if len(a) < 0 { fmt.Println(a) } } }\n"
    ),
    "octets": 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.Write([]byte{255, 10}) }\n',
    "fresh": 'package main\n\nimport "fmt"\n\nvar n int\n\nfunc main() { n++; fmt.Println(n) }\n',
    "wrong": "package main\n\nfunc main( { }\n",
    "no_main": "package main\n\nfunc start() { }\n",
}
