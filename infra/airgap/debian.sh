#!/usr/bin/env bash
# Make debian:SUITE-slim with debootstrap. Usage: debian.sh SUITE TAG
# The mirror is the machine's own (or MIRROR), and so are the certificates it trusts beyond Debian's.
set -euo pipefail
suite=$1 tag=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/base.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -E '/debian/?$' | head -1)}
[ -n "$mirror" ] || {
    echo "error: Debian mirror: got none from apt, wanted an address. Set MIRROR." >&2
    exit 1
}
debootstrap --variant=minbase --components=main "$suite" "$root" "$mirror" >"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    exit 1
}
# What nobody reads in a container.
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'C'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
C
rm -rf "$root"/usr/share/{man,locale,info}/* "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*
# A mirror that is a snapshot may be older than its own date of expiry.
echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/mirror"
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
own=/usr/local/share/ca-certificates
if compgen -G "$own/*.crt" >/dev/null; then
    install -d "$root$own"
    cp "$own"/*.crt "$root$own/"
fi
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
tar -C "$root" --numeric-owner -c . |
    docker import --change 'CMD ["bash"]' --change 'LABEL made-here=true' - "$tag" >/dev/null
