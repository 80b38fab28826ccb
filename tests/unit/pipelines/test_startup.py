"""What processes that remove duplicates leave unimported, which is most of what starting them would take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def printed(script: str) -> str:
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_arrow_comes_without_pandas_until_a_data_frame_is_asked_for() -> None:
    script = (
        "import gc, sys\n"
        "from pipelines.startup import import_with_arrow, keep_memory\n"
        "keep_memory()\n"
        "import_with_arrow('pipelines.dedup')\n"
        "import pyarrow as pa\n"
        "table = pa.table({'a': [1, 2]})\n"
        "print('pandas' in sys.modules, pa.default_memory_pool().backend_name, gc.isenabled())\n"
        "print(table.to_pandas()['a'].sum(), 'pandas' in sys.modules)\n"
    )
    assert printed(script).split() == ["False", "system", "True", "3", "True"]


def test_workers_import_numpy_and_the_kernel_alone() -> None:
    script = "import sys, pipelines.spill\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = set(printed(script).split())
    assert "numpy" in found
    assert not found & {"pandas", "pyarrow", "pydantic", "tqdm", "click", "tree_sitter"}
