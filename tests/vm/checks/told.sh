#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The identity became another one while they waited (listen.sh).
set -eu
for _ in $(seq 600); do
    [[ ! -e /run/hook.slow || ! -e /run/listener.loaded ]] || break
    sleep 0.3
done
[[ -e /run/hook.note && -e /run/hook.slow ]] || { echo "no hook ran: $(ls /run)"; exit 1; }
[[ -e /run/listener.loaded ]] || { systemctl status --no-pager idmode-reload.service | tail -n 5; exit 1; }
# Told what is so now, from a unit of its own.
grep -q -x "IDMODE_MODE=$(cat /run/idmode/mode)" /run/hook.note
grep -q "^IDMODE_CERT_SHA256=$(openssl x509 -in /run/idmode/device.cert.pem -outform DER | sha256sum | cut -d ' ' -f 1)$" \
    /run/hook.note || { cat /run/hook.note; exit 1; }
unit=$(sed -n 's|^0::/system.slice/||p' /run/hook.note)
[[ $unit == run-*.service && $(systemctl show -P ActiveState "$unit") == active ]] || { cat /run/hook.note; exit 1; }
# The slow one still runs, and nobody waits for it.
timeout 120 idmode boot
[[ $(systemctl show -P ActiveState "$unit") == active ]]
systemctl stop "$unit" idmode-reload.path listener.service
rm /etc/idmode/hooks.d/*
echo "hooks ran in a unit of their own; while the slow one sleeps idmode goes on; the server got its SIGHUP"
