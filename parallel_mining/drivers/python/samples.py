"""Python's programs for the contract of all languages."""

from __future__ import annotations

from parallel_mining.drivers.samples import Integers

INTEGERS: Integers = "exact"
STRICT_ARITY = True
SAMPLES: dict[str, tuple[str, str]] = {
    "add": ("f", "def f(a, b):\n    return a + b\n"),
    "shout": ("f", "def f(s):\n    print('R 0 0 v n')\n    return s + '!'\n"),
    "fail": ("f", "def f(a):\n    raise ValueError('no é')\n"),
    "hang": ("f", "def f(a):\n    while a < 2:\n        pass\n    return a\n"),
    "syntax": ("f", "def f(a)\n    return a\n"),
    "unknown": ("f", "import nosuchmodule\ndef f(a):\n    return a\n"),
    "missing": ("f", "def g(a):\n    return a\n"),
    "floats": ("f", "def f(x):\n    return [x * 0.0, float('inf') * x, float('nan'), x / 3]\n"),
    "narrow": ("f", "def f(a):\n    return a * 2\n"),
    "transpose": ("f", "def f(m):\n    return [list(row) for row in zip(*m)]\n"),
    "count": ("f", "from collections import Counter\ndef f(a):\n    return Counter(a)\n"),
    "halve": ("f", "def f(a):\n    return None if a % 2 else a // 2\n"),
    "sorted": ("f", "def f(a):\n    a.sort()\n    return a[0]\n"),
    "random": ("f", "import random\ndef f(a):\n    return random.random()\n"),
    "stateful": ("f", "seen = []\ndef f(a):\n    seen.append(a)\n    return len(seen)\n"),
    "leave": ("f", "import os\ndef f(a):\n    os._exit(0) if a else None\n    return a\n"),
}
WHOLES: dict[str, str] = {
    "sum": "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n",
    "repeat": "import sys\nsys.stdout.write(sys.stdin.read() + '!')\n",
    "leave": "import sys\nprint('so far')\nsys.exit(3 if sys.stdin.readline() else 0)\n",
    "raise": "raise ValueError('no é')\n",
    "spin": "s = input()\nwhile s:\n    pass\nprint('done')\n",
    "flood": "while True:\n    print('x' * 1000)\n",
    "grow": "a = [1]\nwhile True:\n    a = a + a\n",
    "octets": "import sys\nsys.stdout.buffer.write(b'\\xff\\n')\n",
    "fresh": "import builtins\nbuiltins.n = getattr(builtins, 'n', 0) + 1\nprint(builtins.n)\n",
    "wrong": "print('a'\n",
    "no_main": "def main(:\n    pass\n",
}
