#!/usr/bin/env bash
# Installs what android_demo/ is built and tested with on Debian 12 or newer and Ubuntu 22.04 or
# newer: nothing is done twice, and nothing but packages changes the system.
#
#   install_tools.sh          the JDK, JUnit and a C compiler, for core/ and its tests on a desktop
#   install_tools.sh --apk    the same and what build_offline.sh needs: aapt, zipalign, apksigner,
#                             dexdump, clang and lld; android.jar of API 23 and dx go to
#                             ${XDG_CACHE_HOME:-~/.cache}/edgeocr/android-23, 15 MB
#
# The last two are in Debian 11 and no newer one. They are fetched by an apt with lists of its own
# in that folder, checked against Debian's signing key, and unpacked there: not installed.
set -euo pipefail

usage() {
    echo "usage: ${0##*/} [--apk]" >&2
    exit 2
}
apk=false
case "$#:${1-}" in
    0:) ;;
    1:--apk) apk=true ;;
    *) usage ;;
esac

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "${0##*/}: needs root or sudo to run: $*" >&2
        exit 2
    fi
}

command -v apt-get >/dev/null || {
    echo "${0##*/}: needs apt-get, of Debian or Ubuntu; install by hand what this file names" >&2
    exit 2
}

packages=(default-jdk-headless junit4 gcc libc6-dev)
if $apk; then
    packages+=(aapt apksigner zipalign dexdump clang lld debian-archive-keyring)
fi
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
        missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "Installing ${missing[*]}"
    install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
    # Lists that are there may do; old ones name packages that are gone.
    as_root "${install[@]}" "${missing[@]}" >/dev/null 2>&1 || {
        as_root apt-get update -q
        as_root "${install[@]}" "${missing[@]}"
    }
fi
$apk || exit 0

cache=${EDGEOCR_ANDROID:-${XDG_CACHE_HOME:-$HOME/.cache}/edgeocr/android-23}
if [ -f "$cache/android.jar" ] && [ -f "$cache/dx.jar" ]; then
    exit 0
fi
echo "Fetching android.jar of API 23 and dx into $cache"
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
private=(-q
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$work/lists"
    -o Dir::Cache="$work" -o Dir::Cache::Archives="$work/archives"
    -o Dir::State::Status=/dev/null -o APT::Sandbox::User=root
    -o Acquire::Check-Valid-Until=false)
fetch() {
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 bullseye main" \
        >"$work/sources.list"
    apt-get "${private[@]}" update &&
        (cd "$work" && apt-get "${private[@]}" download libandroid-23-java dalvik-exchange)
}
# The mirror that apt uses here, then where Debian keeps what is old.
# shellcheck disable=SC2016  # apt replaces $(REPO_URI)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    grep -m 1 '/debian/\?$' || true)
for from in $mirror http://archive.debian.org/debian; do
    if fetch "$from" >"$work/log" 2>&1; then
        fetched=true
        break
    fi
done
${fetched:-false} || {
    cat "$work/log" >&2
    echo "${0##*/}: can't fetch libandroid-23-java and dalvik-exchange of Debian 11" >&2
    exit 1
}
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done
sdk=$work/root/usr/lib/android-sdk
cp -L "$sdk/platforms/android-23/android.jar" "$work/android.jar"
cp -L "$work/root/usr/share/java/dalvik-exchange.jar" "$work/dx.jar" 2>/dev/null ||
    cp -L "$sdk/build-tools/debian/lib/dx.jar" "$work/dx.jar"
mv "$work/dx.jar" "$cache/dx.jar"
mv "$work/android.jar" "$cache/android.jar"
