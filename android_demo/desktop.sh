#!/usr/bin/env bash
# Runs the Java pipeline on this machine, with the LiteRT of the Python package ai-edge-litert.
# Needs what `install_tools.sh` installs, and a Python with that package (PYTHON=/path/to/python).
#
#   desktop.sh read BUNDLE THREADS IMAGE...   prints what was read, one JSON object an image
#   desktop.sh measure FOLDER                 follows FOLDER/plan.json, writes FOLDER/result.json
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${EDGEOCR_DESKTOP_BUILD:-$here/build/desktop}

for tool in javac java gcc; do
    command -v "$tool" >/dev/null || {
        echo "${0##*/}: $tool is missing; run $here/install_tools.sh" >&2
        exit 2
    }
done
litert=$("${PYTHON:-python3}" -c '
import importlib.util
found = importlib.util.find_spec("ai_edge_litert")
print(found.submodule_search_locations[0] + "/libLiteRt.so" if found else "")')
[ -f "$litert" ] || {
    echo "${0##*/}: ${PYTHON:-python3} has no ai-edge-litert with a libLiteRt.so;" \
        "pip install ai-edge-litert, or name another Python in PYTHON" >&2
    exit 2
}

modules=("$here"/{core,demo,litert,desktop}/src/main)
if [ ! -f "$build/built" ] ||
    [ -n "$(find "${modules[@]}" -newer "$build/built" -print -quit)" ]; then
    rm -rf "$build"
    mkdir -p "$build/classes"
    jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
    gcc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
        -I"$jdk/include" -I"$jdk/include/linux" "$here/litert/src/main/c/litert_runner.c" -ldl \
        -o "$build/libedgeocr_litert.so"
    find "${modules[@]}" -name '*.java' >"$build/sources"
    javac -Xlint:all,-options,-serial -Werror --release 8 -encoding UTF-8 -d "$build/classes" \
        "@$build/sources"
    touch "$build/built"
fi
command=${1:-help}
[ $# -eq 0 ] || shift
exec java -cp "$build/classes" io.github.edgeocr.desktop.Desktop "$command" \
    "$build/libedgeocr_litert.so" "$litert" "$@"
