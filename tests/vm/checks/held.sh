#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A device that is held comes up all the same, and says so.
set -eu
[[ $(systemctl show -P ActiveState idmode-boot.service) == active ]]
[[ $(systemctl show -P ExecMainStatus idmode-boot.service) == 3 ]]
[[ $(systemctl show -P ActiveState rauc.service) != failed ]]
idmode status --json | grep -q '"held": *true'
for _ in $(seq 600); do
    status=$(systemctl show -P StatusText idmode-watch.service)
    [[ $status != *again* ]] || break
    sleep 0.3
done
[[ $status == *"exit code 3; again in"* ]] || { echo "idmode-watch: $status"; exit 1; }
echo "idmode-boot.service is no failed unit; idmode-watch looks again: $status"
