#!/bin/sh
# Makes .venv with linewatch and the extra $2, by the Python $1. What it cannot do it says, with the remedy.
set -eu
python=$1
extra=$2

command -v "$python" >/dev/null 2>&1 || {
    echo "linewatch needs Python 3.11 or newer; $python was not found. Name one: make PYTHON=python3.12 ..." >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "linewatch needs Python 3.11 or newer, and $python is older. Name one: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extra]"

# The OpenCV wheel wants a few of the system's libraries that no Python package brings.
if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
    libraries="libgl1 libglib2.0-0 libxcb1"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $libraries >/dev/null
    else
        echo "OpenCV needs system libraries that are missing. On Debian: sudo apt-get install $libraries" >&2
        exit 1
    fi
fi

# The tests of the page need a real browser, those of the metrics Prometheus' own checker. Only Debian packages them.
if [ "$extra" = dev ]; then
    missing=""
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
        command -v google-chrome >/dev/null 2>&1 || missing="chromium"
    command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
    if [ -n "$missing" ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                $missing >/dev/null || echo "could not install $missing; the tests that need it will say so" >&2
        else
            echo "not found: $missing; the tests that need it will say so (sudo apt-get install $missing)" >&2
        fi
    fi
fi
