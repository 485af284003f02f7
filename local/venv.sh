#!/usr/bin/env bash
# Summary: make a virtual environment that holds exactly what a hash-locked requirements file names.
# Usage:   local/venv.sh FOLDER REQUIREMENTS     (PYTHON names the interpreter, default python3)
set -Eeuo pipefail
cd "$(dirname "$0")/.."

folder=$1
requirements=$2
python=${PYTHON:-python3}

fail() {
    echo "setup: $*" >&2
    exit 1
}

check_python() {
    command -v "$python" >/dev/null || fail "there is no $python; install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old; install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"
}

# Debian keeps the part of Python that makes virtual environments in a package of its own
ensure_venv_module() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    local install="apt-get install -y --no-install-recommends $package"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && $install -qq; } >/dev/null 2>&1 || fail "could not install $package; try: $install"
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        { sudo -n apt-get update -qq && sudo -n $install -qq; } >/dev/null 2>&1 || fail "could not install $package; try: sudo $install"
    else
        fail "$python cannot make virtual environments; install $package first (Debian, Ubuntu: sudo apt-get install $package)"
    fi
}

install() {
    echo "setup: $requirements -> $folder" >&2
    "$python" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r local/uv.txt
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --require-hashes -r "$requirements"
}

check_python
ensure_venv_module
install
