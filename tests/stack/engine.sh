#!/usr/bin/env bash
# A Docker engine with Compose, and every pinned base image, on a bare Debian machine; for `make test-stack`.
# What is there already is used as it is. Prints the pid of an engine that it started, so that it can be ended.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export DEBIAN_FRONTEND=noninteractive

fail() {
    echo "error: $1: got $2, wanted $3. $4" >&2
    exit 1
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_compose() { # Compose 2.26 is in Debian trixie; a low pin keeps the rest of the machine as it is
    # shellcheck disable=SC1091
    . /etc/os-release
    if [ "${VERSION_CODENAME:-}" != trixie ]; then
        local mirror
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -1)
        echo "deb [check-valid-until=no] $mirror trixie main" >/etc/apt/sources.list.d/nightforge-trixie.list
        printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' >/etc/apt/preferences.d/nightforge-trixie
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends -t trixie docker-compose docker.io >/dev/null
}

docker compose version >/dev/null 2>&1 || {
    may_install || fail "docker compose" "no such command" "Compose 2.23 or newer" "Install Docker with its Compose plugin."
    install_compose >&2
}
if ! docker info >/dev/null 2>&1; then
    may_install || fail "Docker engine" "no answer" "a running one" "Start it, or add yourself to the group docker."
    setsid nohup dockerd >"${DOCKERD_LOG:-/tmp/nightforge-dockerd.log}" 2>&1 </dev/null &
    started=$!
    for _ in $(seq 150); do
        docker info >/dev/null 2>&1 && break
        kill -0 "$started" 2>/dev/null || fail "dockerd" "an end at its start" "a running engine" "See ${DOCKERD_LOG:-/tmp/nightforge-dockerd.log}."
        sleep 0.2
    done
    echo "$started"
fi
if may_install && ! command -v debootstrap >/dev/null; then
    apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
fi
"$here/../../infra/airgap/bases.sh" >&2
