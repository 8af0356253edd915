#!/usr/bin/env bash
# Have every base image that the stack is pinned to: kept if it is here, pulled if a registry answers, else
# made from Debian's packages. Usage: bases.sh [--offline]   (--offline never asks a registry)
# Needs root, a Docker engine, debootstrap. Knows no host names: mirror and certificates are the machine's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
pull=true
[ "${1:-}" = --offline ] && pull=false

pinned() { # the default that docker-compose.yml or a Dockerfile gives to a variable
    grep -hoE "$1[:=][^}[:space:]]*" "$here"/../../docker-compose.yml "$here"/../docker/*/Dockerfile |
        head -1 | sed -E "s/^$1(:-|=)//"
}

have() { # TAG COMMAND...
    local tag=$1
    shift
    docker image inspect "$tag" >/dev/null 2>&1 && return
    if $pull && timeout 60 docker pull --quiet "$tag" >/dev/null 2>&1; then
        echo "$tag: pulled"
        return
    fi
    "$@"
    echo "$tag: made here"
}

build() { # TAG FOLDER
    TAG=$1 docker compose --file "$here/bases.yml" build --quiet "$2" >/dev/null
}

have debian:trixie-slim "$here/debian.sh" trixie debian:trixie-slim
python=$(pinned PYTHON_IMAGE)
have "$python" build "$python" python
postgres=$(pinned POSTGRES_IMAGE)
have "$postgres" build "$postgres" postgres
store=$(pinned OBJECTSTORE_IMAGE)
have "$store" build "$store" rustfs
proxy=$(pinned CADDY_IMAGE)
have "$proxy" build "$proxy" caddy
