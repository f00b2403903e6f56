# The emulated board as a machine of its own. Before this text stand its settings: $emulator,
# $processor, $root, $prefix, $bytecode and $namespace.
set -eu
if [ "${EDGEOCR_IN_NAMESPACE-}" != yes ]; then
    if [ "${1-}" = -c ]; then
        EDGEOCR_COMMAND=$2
    else
        EDGEOCR_COMMAND=${SSH_ORIGINAL_COMMAND-}
    fi
    [ -n "$EDGEOCR_COMMAND" ] || {
        echo 'an emulated board takes commands and has no terminal' >&2
        exit 2
    }
    export EDGEOCR_COMMAND EDGEOCR_IN_NAMESPACE=yes
    exec $namespace "$0"
fi

# binfmt_misc's description of an aarch64 program: ELF, 64 bits, little endian, machine 183.
# C and O: as the program was called; F: the emulator is opened now, its path means nothing later.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf '%s' ":edgeocr:M::$magic:$mask:$emulator:OCF" > /proc/sys/fs/binfmt_misc/register

machine=$prefix/machine
mkdir -p "$machine" "$bytecode"
mount -t tmpfs none "$machine"

show() { # a folder of this machine, at a path of the board
    mkdir -p "$machine$2"
    mount --rbind "$1" "$machine$2"
}

for folder in "$root"/*; do
    name=${folder##*/}
    case $name in
    proc | sys | dev | tmp | root | home) ;;
    *) show "$folder" "/$name" ;;
    esac
done
show /proc /proc
show /dev /dev
show "$prefix/sys" /sys
mount --bind "$prefix/proc/cpuinfo" "$machine/proc/cpuinfo"
mkdir -p "$machine/tmp" "$machine/root"
show "$bytecode" "$bytecode"
# The emulator is a program of this machine, and so are the libraries that it is loaded with.
for folder in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64; do
    if [ -d "$folder" ]; then show "$(realpath "$folder")" "$folder"; fi
done
IFS=:
for folder in ${EDGEOCR_BOARD_FOLDERS-}; do show "$folder" "$folder"; done
unset IFS

command=$EDGEOCR_COMMAND
unset EDGEOCR_COMMAND EDGEOCR_BOARD_FOLDERS EDGEOCR_IN_NAMESPACE SSH_ORIGINAL_COMMAND
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONHOME
export QEMU_CPU="$processor" EDGEOCR_EMULATED=qemu-user OPENBLAS_NUM_THREADS=1
export PYTHONPYCACHEPREFIX="$bytecode" HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
exec chroot "$machine" /bin/sh -c 'cd && exec /bin/sh -c "$1"' sh "$command"
