#!/bin/sh
# Installs what Debian packages of the full suite are missing when run as root; says which command would, otherwise.
set -eu
missing=""
for pair in mosquitto:mosquitto lftp:lftp curl:curl; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%:*}" ] || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Tests that need these are skipped by name; to run them: sudo apt-get install$missing"
    exit 0
fi
echo "Installing for the full test suite:$missing"
# Debian's mosquitto package starts a broker of its own on 1883; policy-rc.d is left alone, the tests use free ports.
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
