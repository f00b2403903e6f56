#!/usr/bin/env bash
# Installs the Debian packages that remote targets and peers need, and their tests; those that are
# here already stay as they are. For Debian 12 and its derivatives; asks sudo where it isn't root.
#
#   openssh-client   reaches boards
#   adb              reaches phones
#   openssh-server   only the tests, which start one of their own on a port of loopback; the
#                    service that Debian starts with the package is switched off again
#   tesseract-ocr    is a peer, with its English model
set -euo pipefail

packages=(openssh-client openssh-server adb tesseract-ocr tesseract-ocr-eng)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    echo "remote targets and peers: all Debian packages are here"
    exit 0
fi

echo "remote targets and peers: installing ${missing[*]}"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"

# Nobody asked for a machine that can be logged in to.
case " ${missing[*]} " in
    *" openssh-server "*)
        if [ -d /run/systemd/system ]; then
            "${as_root[@]}" systemctl disable --now ssh.service ssh.socket || true
        fi
        ;;
esac
