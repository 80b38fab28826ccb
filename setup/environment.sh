#!/usr/bin/env bash
# Creates .venv at the root with the pinned packages. Does nothing when it is already up to date.
#   TORCH   which torch to install (default: torch==2.13.0); a GPU user may name another, pip options included:
#           make demo TORCH="torch==2.11.0 --index-url URL"
#   EXTRAS  which parts to install (default: everything but the benchmark peers)
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
TORCH=${TORCH:-torch==2.13.0}
EXTRAS=${EXTRAS:-spark,mining,train,score,analysis,dev}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "error: Python 3.11 or newer is needed as '$PYTHON'; name another with PYTHON=..." >&2
    exit 2
}
wanted=$( (cat pyproject.toml setup/constraints.txt; echo "$TORCH $EXTRAS"; "$PYTHON" --version) | sha256sum)
if [ -x .venv/bin/polymix ] && [ "$(cat .venv/.wanted 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "== Python environment (.venv)" >&2
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check)
case ",$EXTRAS," in
*,train,*)
    # First and alone, so that the caller's choice of build decides, then held fast.
    # shellcheck disable=SC2086
    "${pip[@]}" install $TORCH
    .venv/bin/python -c 'from importlib.metadata import version; print("torch==" + version("torch"))' >.venv/torch.txt
    ;;
*) : >.venv/torch.txt ;;
esac
"${pip[@]}" install -c setup/constraints.txt -c .venv/torch.txt -e ".[$EXTRAS]" |
    { grep --line-buffered -vE '^(Requirement already|  )' || true; }
echo "$wanted" >.venv/.wanted
