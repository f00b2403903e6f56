#!/usr/bin/env bash
# Installs the Debian packages that emulated boards and the C example need; those that are here
# already stay as they are. For Debian 12 and its derivatives; asks sudo where it isn't root.
#
#   qemu-user                 runs aarch64 programs (the build that takes plugins, not -static)
#   mmdebstrap, keyring       make a folder with an arm64 Debian, without being root in it
#   gcc, libc6-dev, make      build the plugin that counts instructions, and the C example
#   gcc-aarch64-linux-gnu …   cross-compile the C example for a Raspberry Pi
set -euo pipefail

packages=(
    qemu-user mmdebstrap debian-archive-keyring gcc libc6-dev make
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    echo "emulated boards: all Debian packages are here"
    exit 0
fi

echo "emulated boards: installing ${missing[*]}"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
