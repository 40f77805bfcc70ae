#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The clock was set: idmode-clock.timer has `idmode boot` look again.
set -eu
for _ in $(seq 600); do
    [[ $(cat /run/idmode/mode) != tpm ]] || break
    sleep 0.3
done
[[ $(cat /run/idmode/mode) == tpm ]] || { systemctl status idmode-clock.timer idmode-clock.service; exit 1; }
until [[ $(systemctl show -P ActiveState idmode-clock.service) == inactive ]]; do sleep 0.3; done
[[ $(systemctl show -P Result idmode-clock.service) == success ]]
[[ $(systemctl show -P ActiveState idmode-watch.service) == inactive ]]
echo "idmode-clock.service ran, and the device has an identity; it is $(date -u +%Y)"
