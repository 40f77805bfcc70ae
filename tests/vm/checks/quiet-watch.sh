#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# idmode-watch would look again by itself: what comes next is systemd's doing alone. A hook waits for it.
set -eu
systemctl stop idmode-watch.service
[[ $(systemctl show -P ActiveState idmode-clock.timer) == active ]]
[[ $(systemctl show -P ActiveState idmode-boot.service) == active ]] # held, or without identity: no failed unit
[[ $(systemctl show -P ExecMainStatus idmode-boot.service) == 3 ]]
mkdir -p /etc/idmode/hooks.d
cat >/etc/idmode/hooks.d/10-note <<'END'
#!/bin/sh
{ env | grep ^IDMODE_; cat /proc/self/cgroup; } >/run/hook.note.new
mv /run/hook.note.new /run/hook.note
END
chmod 755 /etc/idmode/hooks.d/10-note
echo "it is $(date -u +%Y), idmode-boot.service ended with 3 and has not failed"
