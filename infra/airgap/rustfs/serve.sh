#!/bin/sh
# Without a key rclone would be open to everyone.
set -eu
: "${RUSTFS_ACCESS_KEY:?}" "${RUSTFS_SECRET_KEY:?}"
# The variable is read as a list of values, each in quotes.
RCLONE_AUTH_KEY="\"$RUSTFS_ACCESS_KEY,$RUSTFS_SECRET_KEY\""
export RCLONE_AUTH_KEY
unset RUSTFS_ACCESS_KEY RUSTFS_SECRET_KEY
exec rclone serve s3 --addr "${RUSTFS_ADDRESS:-:9000}" --vfs-cache-mode off "${RUSTFS_VOLUMES:-/data}"
