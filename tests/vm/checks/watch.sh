#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Somebody deletes the certificate of a running device.
set -eu
unit=idmode-watch.service
for _ in $(seq 600); do
    [[ $(systemctl show -P StatusText $unit) != watching ]] || break
    sleep 0.3
done
# Type=notify: active because it said so; and it feeds its watchdog.
[[ $(systemctl show -P ActiveState $unit) == active && $(systemctl show -P StatusText $unit) == watching ]]
[[ $(systemctl show -P WatchdogTimestampMonotonic $unit) != 0 ]]
pid=$(systemctl show -P MainPID $unit)
cert=/config/device.cert.pem
sum=$(sha256sum <$cert)
read -r start _ </proc/uptime
rm $cert
for _ in $(seq 600); do
    [[ ! -s $cert ]] || break
    sleep 0.1
done
read -r end _ </proc/uptime
for _ in $(seq 600); do
    [[ $(sha256sum <$cert) != "$sum" ]] || break
    sleep 0.1
done
[[ $(sha256sum <$cert) == "$sum" && $(systemctl show -P MainPID $unit) == "$pid" ]]
echo "$unit said that it watches; the deleted certificate was back, byte for byte, after" \
    "$(awk "BEGIN { printf \"%.1f\", $end - $start }") s"
