# For the scripts beside it: what tests need that is not ours, and what to do where it cannot be had.

# Whether this is CI, where nothing is left out. .ci/run says so.
is_ci() {
    [ -n "${CI:-}" ] && [ "$CI" != false ]
}

# Runs its arguments as root, or fails.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        return 1
    fi
}

# Installs Debian packages, or fails. No service that comes with them is started: tests start their own.
install_packages() {
    command -v apt-get >/dev/null 2>&1 || return 1
    echo "==> installing $*"
    # The lists of a fresh machine are empty or old.
    as_root apt-get update -q || return 1
    # What Debian asks before it starts a service (policy-rc.d); a machine that has an answer of its own keeps it.
    policy=/usr/sbin/policy-rc.d
    own_policy=""
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy"
    fi
    installed=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" || installed=$?
    [ -z "$own_policy" ] || as_root rm -f "$policy"
    return "$installed"
}

# Says loudly what is left out; in CI, that is the end.
leave_out() {
    printf '\n%s\n    %s\n%s\n\n' \
        '########## NOT ALL TESTS ARE RUN. Left out:' "$1" \
        '########## Install it, or run this as root or with sudo.' >&2
    ! is_ci || { echo '########## In CI nothing is left out: this is a failure.' >&2; exit 1; }
}
