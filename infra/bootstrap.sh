#!/bin/sh
# Makes the virtual environment $1 from requirements.lock, with $PYTHON (python3 if unset).
# Each thing that can be missing on a fresh machine ends in one line: got, wanted, remedy.
set -eu

venv=$1
python=${PYTHON:-python3}

fail() {
    echo "error: $1: got $2, wanted $3. $4" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "Python" "no $python on the PATH" "Python 3.11 or newer" \
        "Install it, or name one: make PYTHON=/path/to/python3.11 setup"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' ||
    fail "Python" "$version ($(command -v "$python"))" "3.11 or newer" \
        "Install a newer one, or name it: make PYTHON=/path/to/python3.11 setup"

"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "Python $version" "no venv module" "a Python that can make virtual environments" \
        "On Debian and Ubuntu: apt-get install python3-venv"

if [ ! -x "$venv/bin/uv" ]; then
    echo "making the virtual environment $venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv ||
        fail "pip" "no uv from the package index" "a reachable package index" \
            "Check the network or pip's configuration, then run the command again."
fi

echo "installing the locked packages (the first time about 6 GB, most of it CUDA for PyTorch)"
# Only the package index decides, not a folder of wheels that this machine happens to have.
unset PIP_FIND_LINKS UV_FIND_LINKS
# pip trusts what the system trusts, a company's own authority too; so should uv, where it can.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    export UV_SYSTEM_CERTS=true
fi
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet --compile-bytecode --requirements requirements.lock uv ||
    fail "packages" "an incomplete installation" "every package of requirements.lock" \
        "Check network and disk space, then run the command again; it goes on where it stopped."
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet --no-deps --editable .
