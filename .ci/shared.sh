# Sourced by ./run, ./test and .ci/run: messages, stages with their times, what the machine needs.

if [ ! -t 1 ]; then
    export NO_COLOR=1 CARGO_TERM_COLOR=never
fi
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "needs root for: $*"
    fi
}

# need_packages COMMAND:PACKAGE… installs the Debian packages whose command is missing.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
    command -v apt-get >/dev/null || die "missing, and not on Debian: please install $*"
    say "installing Debian packages: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

need_rust() {
    command -v cargo >/dev/null || die "Rust is missing. Install the toolchain from https://rustup.rs and try again"
    need_packages cc:gcc
    echo '#include <stdlib.h>' | cc -fsyntax-only -x c - 2>/dev/null || install_packages libc6-dev
}

# stage NAME COMMAND… runs the command, and remembers how it ended and how long it took. Call it
# as a plain command: after `||` or in `if`, bash would not stop the command at its first error.
stages=()
failed_stages=0
stage() {
    local name=$1 began=$SECONDS status verdict=ok
    shift
    say "==> $name"
    set +e
    (set -e; "$@")
    status=$?
    set -e
    if [ $status -ne 0 ]; then
        verdict=FAILED
        failed_stages=$((failed_stages + 1))
    fi
    stages+=("$(printf '%-6s %5d s  %s' "$verdict" $((SECONDS - began)) "$name")")
}

# The same for what later stages cannot do without.
required_stage() {
    stage "$@"
    if [ "$failed_stages" -ne 0 ]; then
        finish || exit 1
    fi
}

# Prints every stage with its time; fails if one did.
finish() {
    say
    printf '%s\n' "${stages[@]}"
    printf '%-6s %5d s  %s\n' total "$SECONDS" "$0"
    [ "$failed_stages" -eq 0 ]
}
