"""What a piece of Python takes from outside, and that units have all of it, in an order in which it can be read."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from parallel_mining.drivers.python.scopes import outside
from parallel_mining.units import extract


@pytest.mark.parametrize(
    ("code", "names", "early"),
    [
        ("def f(x, y=k):\n    return x + g(z)\n", "g k z", "k"),
        ("def f(x, k=k):\n    return k\n", "k", "k"),
        ("def f(x: T) -> T:\n    y: T = x\n    return y\n", "", ""),
        ("class A:\n    limit = limit\n    def f(self):\n        return limit\n", "limit", "limit"),
        ("class A:\n    size = 1\n    def f(self):\n        return size\n", "size", ""),
        ("class A:\n    def error(self):\n        return error(self)\n", "error", ""),
        ("class A:\n    size = 1\n    twice = size * 2\n", "", ""),
        ("class A(B, metaclass=M):\n    @mark\n    def f(self): ...\n", "B M mark", "B M mark"),
        ("a, (b, *c) = pair\n", "pair", "pair"),
        ("a += b\n", "a b", "a b"),
        ("a = a + 1\n", "a", "a"),
        ("with opened(x) as (a, b):\n    c = a + d\n", "d opened x", "d opened x"),
        ("for i in items:\n    table[i] = i\n", "items table", "items table"),
        ("x = [i + j for i in a for j in b(i)]\n", "a b", "a b"),
        ("x = [y := i for i in a]\nz = y\n", "a", "a"),
        ("f = lambda x, y=k: x + y + later\n", "k later", "k"),
        ("try:\n    a = risky()\nexcept Bad as error:\n    a = str(error)\n", "Bad risky str", "Bad risky str"),
        ("def f(x):\n    def g():\n        nonlocal x\n        x = y\n    return g\n", "y", ""),
        ("match value:\n    case [first, *rest] if first > low:\n        got = rest\n", "low value", "low value"),
        ("old = f\ndef f(x):\n    return old(x)\n", "f", "f"),
        ("def f(x):\n    import math as m\n    return m.pi * x\n", "", ""),
    ],
)
def test_names_are_looked_up_where_the_language_does(code: str, names: str, early: str) -> None:
    found = outside(*ast.parse(code).body)
    assert sorted(found.names) == names.split()
    assert sorted(found.early) == early.split()


def units(files: dict[str, str]) -> dict[str, str]:
    rows = [
        {"id": path, "text": text, "language": "python", "repo_name": "r", "path": path, "license_type": "permissive"}
        for path, text in files.items()
    ]
    return {unit.entry: unit.program.code for unit in extract(rows, workers=1).units}


def call(code: str, entry: str, *values: Any) -> Any:
    space: dict[str, Any] = {"__name__": "unit"}
    exec(compile(code, "unit", "exec"), space)
    return space[entry](*values)


# Each module's `f` gives 7 for 3, and needs names that are bound in some unusual way.
MODULES = {
    "a tuple": "low, (mid, *high) = 1, (4, 2, 2)\ndef f(x):\n    return x + mid + len(high) - 2 * low\n",
    "bound again": "k = 3\nk = k + 1\nk += 0\ndef f(x):\n    return x + k * 1\n",
    "used between": "k = 1\nfirst = k + 2\nk = first + 1\ndef f(x):\n    return x + k + first - 3\n",
    "with": "from contextlib import nullcontext\nwith nullcontext(4) as k:\n    j = k\n"
    "def f(x):\n    return x + j + k - 4\n",
    "for": "table = {}\nfor i in range(9):\n    table[i] = i + 4\ndef f(x):\n    return table[x] + 0 * i\n",
    "a function in a loop": "for n in (4,):\n    def add(x):\n        return x + n\n"
    "def f(x):\n    return add(x) * 1 + 0\n",
    "if": "import sys\nif len(sys.version) > 1:\n    k = 4\nelse:\n    k = 5\ndef f(x):\n    return x + k * 1\n",
    "version": "import sys\nif sys.version_info >= (3, 0):\n    def add(x):\n        return x + 4\nelse:\n"
    "    def add(x):\n        return unicode(x)\ndef f(x):\n    return add(x) * 1 + 0\n",
    "type checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from other import T\nelse:\n    T = 4\n"
    "def f(x):\n    return x + T * 1\n",
    "try": "try:\n    k = {}[1]\nexcept KeyError:\n    k = 4\nelse:\n    k = 5\ndef f(x):\n    return x + k * 1\n",
    "a library that may be missing": "try:\n    import numpy as np\n    HAS = True\nexcept ImportError:\n"
    "    np = None\n    HAS = False\nelse:\n    HAS = True\n"
    "def f(x):\n    return x * 2 + 1 if not HAS and np is None else 0\n",
    "one or another": "try:\n    from .fast import add\nexcept ImportError:\n    from .slow import add\n"
    "def f(x):\n    return add(x) * 1 + 0\n",
    "accelerated": "def add(x):\n    return x + 4\ntry:\n    from _fast import add\nexcept ImportError:\n    pass\n"
    "def f(x):\n    return add(x) * 1 + 0\n",
    "redefined under a condition": "def add(x):\n    return x + 4\nPYPY = False\nif PYPY:\n    old = add\n"
    "    def add(x):\n        return old(x) + 1\ndef f(x):\n    return add(x) * 1 + 0\n",
    "a walrus": "if (k := 4) > 3:\n    j = k\ndef f(x):\n    return x + k * 1 + j - 4\n",
    "changed": "items = [1]\nitems.append(4)\nitems[0] = 0\ndef f(x):\n    return x + sum(items)\n",
    "an attribute": "def add(x):\n    return x + add.by\nadd.by = 4\nadd.__doc__ = missing\ndef f(x):\n"
    "    return add(x) * 1 + 0\n",
    "a default": "limit = 4\nclass A:\n    limit = limit\n    def get(self, x, by=limit):\n        return x + by\n"
    "def f(x):\n    return A().get(x) * 1 + 0\n",
    "a default of a method": "mark = object()\nclass A:\n    def get(self, x, by=mark):\n"
    "        return x + 4 if by is mark else 0\ndef f(x):\n    return A().get(x) * 1 + 0\n",
    "a property": "class A:\n    def __init__(self, x):\n        self.x = x\n    @property\n    def more(self):\n"
    "        return self.x + 4\n    @more.setter\n    def more(self, value):\n        self.x = value\n"
    "def f(x):\n    a = A(0)\n    a.more = x\n    return a.more\n",
    "a decorator of the class": "class A:\n    def twice(method):\n        return lambda self, x: method(self, x) * 2\n"
    "    @twice\n    def get(self, x):\n        return x + 1\ndef f(x):\n    return A().get(x) - 1\n",
    "a method of the name": "def more(x):\n    return x + 4\nclass A:\n    def more(self, x):\n        return more(x)\n"
    "def f(x):\n    return A().more(x) * 1 + 0\n",
    "a case": "from functools import singledispatch\n@singledispatch\ndef add(x):\n    return 0\n@add.register(int)\n"
    "def _(x):\n    return x + 4\ndef f(x):\n    return add(x) * 1 + 0\n",
    "called while it is read": "def f(x):\n    return table[x] + 0\ntable = {3: 7}\ntable2 = f(3)\ndef g(x):\n"
    "    return table2 + x * 0\n",
}


@pytest.mark.parametrize("code", MODULES.values(), ids=MODULES)
def test_units_have_the_names_that_are_bound_in_unusual_ways(code: str) -> None:
    files = {"m.py": code, "slow.py": "def add(x):\n    return x + 4\n"}
    found = units(files)
    assert call(found["f"], "f", 3) == 7
    if "g" in found:
        assert call(found["g"], "g", 3) == 7


def test_what_an_annotation_alone_declares_is_not_there() -> None:
    assert "f" not in units({"m.py": "k: int\ndef f(x):\n    return x + k * 1\n"})


def test_what_only_a_missing_library_binds_is_not_there() -> None:
    code = "try:\n    import numpy as np\nexcept ImportError:\n    other = 1\ndef f(x):\n    return np.sum(x) + other\n"
    assert units({"m.py": code}) == {}


def test_a_name_that_a_refused_file_offers_is_not_taken_for_there() -> None:
    files = {
        "p/__init__.py": "from p.one import *\nfrom p.two import *\n",
        "p/one.py": "import os\ndef helper(x):\n    return os.getcwd() + x\n",
        "p/two.py": "def other(x):\n    return x + 1\n",
        "p/use.py": "from p import helper, other\ndef f(x):\n    return helper(x) + other(x)\n"
        "def g(x):\n    return other(x) * 2\n",
    }
    found = units(files)
    assert "f" not in found
    assert call(found["g"], "g", 3) == 8
