#!/bin/sh
# Installs what a build (`build`), the tests with real peers (`peers`), the fuzz targets (`fuzz`), `make compare` and `make quality`
# need, and only what is missing.
# Says exactly what is missing where it cannot install.
set -eu

SCHEMATHESIS=4.32.5
QUALITY="visqol-python==3.8.0 ai-edge-litert==2.3.0 numpy==2.2.6 scipy==1.15.3 numba==0.61.2 llvmlite==0.44.0"

missing=""
problem=""
schemathesis=""
quality=""

# need COMMAND-OR-FILE PACKAGE
need() {
    case "$1" in
        pkg:*) pkg-config --exists "${1#pkg:}" 2>/dev/null && return 0 ;;
        *) command -v "$1" >/dev/null 2>&1 && return 0 ;;
    esac
    missing="$missing $2"
}

for group in "$@"; do
    case "$group" in
        build)
            need gcc gcc
            need pkg-config pkg-config
            need pkg:opus libopus-dev
            ;;
        peers)
            need sipp sip-tester
            need kamailio kamailio
            need rtpengine rtpengine-daemon
            need rtpengine-ng-client rtpengine-utils
            need baresip baresip-core
            need ip iproute2
            command -v google-chrome >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || need chromium chromium
            python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
            schemathesis=yes
            ;;
        compare)
            need rtpengine rtpengine-daemon
            need taskset util-linux
            need ip iproute2
            ;;
        fuzz)
            need c++ g++
            ;;
        quality)
            need espeak-ng espeak-ng
            python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
            quality=yes
            ;;
        *)
            echo "setup: no such group: $group" >&2
            exit 2
            ;;
    esac
done

if [ -n "$missing" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    if ! command -v apt-get >/dev/null 2>&1; then
        problem="this machine has no apt-get"
    elif [ -n "$as_root" ] && ! sudo -n true 2>/dev/null; then
        problem="you are not root and sudo asks for a password"
    else
        echo "setup: installing$missing"
        log=$(mktemp)
        # Daemons among them are the tests' to start: Debian would start them at once, on ports that are ours (5060, 2223).
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap '$as_root rm -f $policy' EXIT
            trap 'exit 130' INT TERM
            $as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy"
        fi
        # shellcheck disable=SC2086
        if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
            tail -n 5 "$log" >&2
            problem="apt-get failed (all of its output: $log)"
        else
            rm -f "$log"
        fi
        for daemon in kamailio rtpengine-daemon; do
            case " $missing " in *" $daemon "*) $as_root systemctl disable -q $daemon >/dev/null 2>&1 || true ;; esac
        done
    fi
    if [ -n "$problem" ]; then
        echo "setup: $problem. Missing:$missing" >&2
        echo "setup: install it by hand (Debian, Ubuntu: apt-get install$missing), then run this again." >&2
        exit 1
    fi
fi

# A client that tries an OpenAPI document against a server, in a place of its own.
venv="${OFFHOOK_SCHEMATHESIS:-${XDG_CACHE_HOME:-$HOME/.cache}/offhook/schemathesis}"
if [ -n "$schemathesis" ] && [ ! -x "$venv/bin/schemathesis" ]; then
    mkdir -p "$(dirname "$venv")"
    echo "setup: installing schemathesis $SCHEMATHESIS into $venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q "schemathesis==$SCHEMATHESIS"; } >"$venv.log" 2>&1; then
        tail -n 5 "$venv.log" >&2
        rm -rf "$venv"
        echo "setup: schemathesis could not be installed (all of the output: $venv.log); the test of the OpenAPI document needs it." >&2
        exit 1
    fi
fi

# The judge of speech (all of it Apache-2.0 or BSD), without what its other modes need.
venv="$(dirname "$0")/../target/quality/venv"
if [ -n "$quality" ] && [ "$(cat "$venv/pinned" 2>/dev/null)" != "$QUALITY" ]; then
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    echo "setup: installing $QUALITY into $venv"
    # shellcheck disable=SC2086
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q --no-deps $QUALITY; } >"$venv.log" 2>&1; then
        tail -n 5 "$venv.log" >&2
        echo "setup: the judge of speech could not be installed (all of the output: $venv.log); make quality needs it." >&2
        exit 1
    fi
    echo "$QUALITY" >"$venv/pinned"
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is missing. Install a Rust toolchain, 1.95 or newer (see the Rust project's site), then run this again." >&2
    exit 1
fi
