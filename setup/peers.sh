#!/usr/bin/env bash
# Creates .venv-peers: the systems that Polymix is measured against, apart from its own environment, since they pin
# packages that Polymix does not. Does nothing when it is already up to date.
#   TORCH   which torch to hold fast should a peer ask for one (default: torch==2.13.0)
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
TORCH=${TORCH:-torch==2.13.0}

peers=(
    "datasketch==2.0.0" "datatrove==0.10.1" "detect-secrets==1.5.0" "lightgbm==4.7.0" "magika==1.0.3" "rensa==0.5.0"
    "text-dedup==0.4.0"
    # datatrove's MinHash stages without its [processing] extra, which asks for spaCy and 130 MB more.
    "fasteners" "orjson" "pyarrow" "regex" "tokenizers" "xxhash<4"
)
wanted=$( (cat setup/peers.sh; echo "$TORCH"; "$PYTHON" --version) | sha256sum)
if [ "$(cat .venv-peers/.wanted 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "== Peers to measure against (.venv-peers)" >&2
[ -x .venv-peers/bin/python ] || "$PYTHON" -m venv .venv-peers
echo "${TORCH%% *}" >.venv-peers/torch.txt
.venv-peers/bin/python -m pip --disable-pip-version-check install -c .venv-peers/torch.txt "${peers[@]}" |
    { grep --line-buffered -vE '^(Requirement already|  )' || true; }
echo "$wanted" >.venv-peers/.wanted
