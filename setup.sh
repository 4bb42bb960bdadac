#!/bin/sh
# Installs what the build needs besides Rust and a C compiler: libclang for the bindings of RocksDB, and a C++ compiler for RocksDB itself.
set -eu

missing=""
command -v cargo >/dev/null 2>&1 || { echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs" >&2; exit 1; }
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    # The bindings also read the compiler's own headers, which come with libclang-dev and not with the library alone.
    headers=""
    for header in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib/clang/*/include/stddef.h /usr/lib64/clang/*/include/stddef.h; do
        [ -e "$header" ] && headers=yes
    done
    [ -n "$headers" ] || return 1
    # libclang-cpp is another library, which the bindings cannot use: the names are spelled so that it does not match.
    for library in /usr/lib/llvm-*/lib/libclang[.-]* /usr/lib/*/libclang[.-]* /usr/lib64/libclang[.-]*; do
        case "$library" in
            *libclang-cpp*) ;;
            *.so | *.so.*) [ -e "$library" ] && return 0 ;;
        esac
    done
    return 1
}
has_libclang || missing="$missing libclang-dev"
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing. Install them with your system's package manager, then run this again." >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
if [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; then
    echo "missing:$missing. Run as root: apt-get update && apt-get install -y$missing" >&2
    exit 1
fi
echo "installing$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
