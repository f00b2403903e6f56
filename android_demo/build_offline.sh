#!/usr/bin/env bash
# Builds a signed APK of the framework-only screen without the Android SDK, with what
# `install_tools.sh --apk` installs: aapt, javac, dx, zipalign, apksigner, clang, lld.
#
#   build_offline.sh --bundle FOLDER [--litert AAR] [--out APK] [--keystore FILE]
#
#   --bundle FOLDER   the models to pack, as `edgeocr-convert` makes them
#   --litert AAR      com.google.ai.edge.litert:litert from Google's Maven: its libLiteRt.so is
#                     packed, and the app reads. Without it the app shows its screens, checks its
#                     bundle, and says that it was built without LiteRT.
#   --out APK         default: build/edgeocr-demo.apk beside this script
#   --keystore FILE   a PKCS12 keystore with one key and the password in EDGEOCR_STORE_PASSWORD;
#                     default: a debug key, made in build/ when there is none
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}

bundle='' litert='' out=$here/build/edgeocr-demo.apk keystore=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value, or is unknown; see the head of the script"
    case $1 in
        --bundle) bundle=$2 ;;
        --litert) litert=$2 ;;
        --out) out=$2 ;;
        --keystore) keystore=$2 ;;
        *) fail "unknown option $1; see the head of the script" ;;
    esac
    shift 2
done
[ -n "$bundle" ] || fail "--bundle is missing: a folder as edgeocr-convert makes it"
[ -f "$bundle/bundle.json" ] || fail "$bundle has no bundle.json; give a bundle's folder"
[ -z "$litert" ] || [ -f "$litert" ] || fail "$litert is no file; give an AAR of LiteRT"

tools=${EDGEOCR_ANDROID:-${XDG_CACHE_HOME:-$HOME/.cache}/edgeocr/android-23}
for tool in aapt javac java zipalign apksigner keytool clang ld.lld python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing; run $here/install_tools.sh --apk"
done
for jar in android.jar dx.jar; do
    [ -f "$tools/$jar" ] || fail "$tools/$jar is missing; run $here/install_tools.sh --apk"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/gen" "$work/classes" "$work/assets/bundle" "$work/assets/samples" "$work/apk" \
    "$(dirname "$out")"

# Assets: what bundle.json names, and a page to be measured with.
cp "$bundle/bundle.json" "$work/assets/bundle/"
python3 - "$bundle/bundle.json" >"$work/files" 2>/dev/null <<'PYTHON' ||
import json, sys
stages = json.load(open(sys.argv[1], encoding="utf-8"))["stages"]
print("\n".join([stage["file"] for stage in stages.values()] + [stages["rec"]["charset_file"]]))
PYTHON
    fail "$bundle/bundle.json is no manifest of a bundle"
while IFS= read -r file; do
    cp "$bundle/${file##*/}" "$work/assets/bundle/" || fail "$bundle lacks $file"
done <"$work/files"
cp "$here/../docs/samples/receipt.jpg" "$work/assets/samples/"

# The adapter between Java and LiteRT. Debian has no C library of Android: the few functions that
# the adapter calls are declared in bionic/, and libraries that only name them stand in for
# Android's own when it is linked.
adapter=$here/litert/src/main/c
jdk=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
target=(--target=aarch64-linux-android23 -fPIC -O2 -std=c11 -nostdlib)
for library in c dl; do
    clang "${target[@]}" -fno-builtin -shared -fuse-ld=lld -Wl,-soname,lib$library.so \
        -o "$work/lib$library.so" "$adapter/bionic/lib$library.c"
done
mkdir -p "$work/apk/lib/arm64-v8a"
clang "${target[@]}" -Wall -Werror -fvisibility=hidden -nostdlibinc -shared -fuse-ld=lld \
    -isystem "$adapter/bionic/include" -isystem "$jdk/include" -isystem "$jdk/include/linux" \
    -Wl,-soname,libedgeocr_litert.so -Wl,--hash-style=both -Wl,-z,max-page-size=16384 \
    -Wl,--no-undefined -Wl,--strip-all "$adapter/litert_runner.c" "$work/libc.so" "$work/libdl.so" \
    -o "$work/apk/lib/arm64-v8a/libedgeocr_litert.so"
if [ -n "$litert" ]; then
    python3 - "$litert" "$work/apk/lib/arm64-v8a/libLiteRt.so" <<'PYTHON' ||
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as aar, open(sys.argv[2], "wb") as library:
    library.write(aar.read("jni/arm64-v8a/libLiteRt.so"))
PYTHON
        fail "$litert holds no jni/arm64-v8a/libLiteRt.so"
fi

# Resources, Java, dex.
manifest=$here/offline/src/main/AndroidManifest.xml
resources=(-S "$here/offline/src/main/res" -S "$here/platform/src/main/res" --auto-add-overlay)
aapt package -f -m -J "$work/gen" -M "$manifest" "${resources[@]}" -A "$work/assets" \
    -0 tflite -0 arsc -I "$tools/android.jar" -F "$work/unaligned.apk"
find "$here"/{core,demo,litert,platform,offline}/src/main/java "$work/gen" -name '*.java' \
    >"$work/sources"
javac -nowarn -Xlint:-options -source 8 -target 8 -encoding UTF-8 \
    -bootclasspath "$tools/android.jar" -d "$work/classes" "@$work/sources" 2>"$work/javac.log" || {
    cat "$work/javac.log" >&2
    exit 1
}
java -cp "$tools/dx.jar" com.android.dx.command.Main --dex --min-sdk-version=23 \
    --output="$work/apk/classes.dex" "$work/classes"
(cd "$work/apk" && find . -type f -printf '%P\n' | sort | xargs aapt add "$work/unaligned.apk") \
    >/dev/null
zipalign -f 4 "$work/unaligned.apk" "$work/aligned.apk"

# Signature.
if [ -z "$keystore" ]; then
    keystore=$here/build/debug.p12
    EDGEOCR_STORE_PASSWORD=android
    if [ ! -f "$keystore" ]; then
        mkdir -p "$here/build"
        keytool -genkeypair -keystore "$work/debug.p12" -storetype PKCS12 -storepass android \
            -alias debug -dname CN=Debug -keyalg RSA -keysize 2048 -validity 10000 >/dev/null 2>&1
        mv "$work/debug.p12" "$keystore"
    fi
fi
[ -n "${EDGEOCR_STORE_PASSWORD-}" ] ||
    fail "EDGEOCR_STORE_PASSWORD must hold the password of $keystore"
export EDGEOCR_STORE_PASSWORD
apksigner sign --ks "$keystore" --ks-pass env:EDGEOCR_STORE_PASSWORD --min-sdk-version 23 \
    --out "$work/signed.apk" "$work/aligned.apk"

# What was built is what was meant.
apksigner verify --min-sdk-version 23 "$work/signed.apk"
zipalign -c 4 "$work/signed.apk"
limit=()
[ -n "$litert" ] || limit=(--most-bytes 8000000)
python3 "$here/check_apk.py" "$work/signed.apk" "${limit[@]}"
mv "$work/signed.apk" "$out"
echo "$out"
