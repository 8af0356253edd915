#!/bin/sh
# Installs packages into an image, with their bytecode: containers write none, so that each process would
# compile anew what it imports. Arguments as for `uv pip install`; certificates and pip's configuration come
# from secrets of the build.
set -eu
if [ -s /run/build/ca.crt ]; then
    export PIP_CERT=/run/build/ca.crt SSL_CERT_FILE=/run/build/ca.crt
fi
configured() { pip config get "global.$1" 2>/dev/null || true; }
pip install --quiet uv
index=$(configured index-url)
more=$(configured extra-index-url)
trusted=$(configured trusted-host)
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
[ -z "$more" ] || export UV_INDEX="$more"
[ -z "$trusted" ] || export UV_INSECURE_HOST="$trusted"
uv pip install --python "$(command -v python)" --compile-bytecode "$@"
pip uninstall --quiet --yes uv
