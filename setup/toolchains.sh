#!/usr/bin/env bash
# Installs what pip cannot: a JDK (Spark, Java), Go, Rust, Mono (C#) and bubblewrap (the sandbox), from Debian's packages.
# Needs root or sudo; without either, or without apt, it says what is missing and ends well: the languages concerned are
# then reported as unavailable. Node.js comes with the Python environment, modern C# after it (setup/dotnet.sh).
set -euo pipefail

declare -A package_of=(
    [javac]=default-jdk-headless
    [java]=default-jdk-headless
    [go]=golang-go
    [rustc]=rustc
    [mcs]=mono-mcs
    [mono]=mono-runtime
    [bwrap]=bubblewrap
    [git]=git
    [cc]=gcc
)
extra_packages=(libc6-dev libmono-system-core4.0-cil libmono-system-numerics4.0-cil)

missing=()
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null 2>&1 || missing+=("${package_of[$program]}")
done
"${PYTHON:-python3}" -c "import ensurepip, venv" 2>/dev/null || missing+=(python3-venv)
if command -v dpkg-query >/dev/null 2>&1; then
    for package in "${extra_packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
fi
names_itself() { getent hosts localhost >/dev/null 2>&1; }
[ ${#missing[@]} -eq 0 ] && names_itself && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u | sed '/^$/d')

run=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        run=(sudo)
    else
        run=(false)
    fi
fi
# Spark talks to itself by this name; a bare root file system has no hosts file.
if ! names_itself; then
    if [ "${run[*]}" != false ]; then
        echo "127.0.0.1 localhost" | "${run[@]}" tee -a /etc/hosts >/dev/null
    else
        echo "note: the name localhost does not resolve; add '127.0.0.1 localhost' to /etc/hosts for Spark" >&2
    fi
fi
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "${run[*]}" = false ]; then
    echo "note: not installed, and not installable from here (no apt-get, or neither root nor sudo):" >&2
    printf '  %s\n' "${missing[@]}" >&2
    echo "  Languages that need them are reported as unavailable. Install them and run the command again." >&2
    exit 0
fi
echo "== toolchains: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq
# Only what shows progress; pipefail keeps apt-get's own exit code.
"${run[@]}" apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" |
    { grep --line-buffered -E '^(Need to get|Fetched|Setting up)' || true; } >&2
