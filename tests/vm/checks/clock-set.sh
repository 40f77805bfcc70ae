#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The clock was set: idmode-clock.timer has `idmode boot` look again, and who waits for an identity is told
# (quiet-watch.sh), although that service has ended by then.
set -eu
for _ in $(seq 600); do
    [[ $(cat /run/idmode/mode) != tpm ]] || break
    sleep 0.3
done
[[ $(cat /run/idmode/mode) == tpm ]] || { systemctl status idmode-clock.timer idmode-clock.service; exit 1; }
until [[ $(systemctl show -P ActiveState idmode-clock.service) == inactive ]]; do sleep 0.3; done
[[ $(systemctl show -P Result idmode-clock.service) == success ]]
[[ $(systemctl show -P ActiveState idmode-watch.service) == inactive ]]
for _ in $(seq 600); do
    ! grep -q -s -x IDMODE_EPOCH=1 /run/hook.note || break
    sleep 0.1
done
grep -q -x IDMODE_EPOCH=1 /run/hook.note || { journalctl --no-pager -u idmode-clock.service | tail; exit 1; }
grep -q '^0::/system.slice/run-.*\.service$' /run/hook.note || { cat /run/hook.note; exit 1; }
rm /etc/idmode/hooks.d/*
echo "idmode-clock.service ran, the device has an identity, and a hook was told of it; it is $(date -u +%Y)"
