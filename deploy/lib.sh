# Functions that the scripts of this folder share. Sourced, never run; needs bash and changes nothing by itself.
# shellcheck shell=bash

# What SwiftPM needs before it can build anything: the C libraries behind the system-library targets.
BUILD_PACKAGES=(pkg-config libpq-dev libhiredis-dev libssl-dev)
# What a running Muster needs beside the binary when it starts its own stores (muster dev, tests, demo).
STORE_PACKAGES=(postgresql redis-server openssl)

note() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --preserve-env=DEBIAN_FRONTEND "$@"
    else
        fail "'$*' needs root, and there is no sudo. Install what is missing by hand: $*"
    fi
}

is_installed() { dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# install_packages PACKAGE...: installs by apt what is not installed yet, and touches nothing else.
install_packages() {
    local package missing=()
    command -v apt-get >/dev/null || fail "no apt-get here; install these by hand: $*"
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    note "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # A list of some other source that cannot be read is no reason to stop; a missing package is.
    as_root apt-get update -qq || true
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

need_swift() {
    command -v swift >/dev/null || fail "no swift on the PATH; install Swift 6.2 or later from swift.org"
}
