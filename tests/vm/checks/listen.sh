#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two hooks, one of them slow beyond measure, and a server that loads its certificate at SIGHUP.
set -eu
mkdir -p /etc/idmode/hooks.d
cat >/etc/idmode/idmode.conf.d/60-hooks.conf <<'END'
[hooks]
timeout = 3600s
END
cat >/etc/idmode/hooks.d/10-note <<'END'
#!/bin/sh
{ env | grep ^IDMODE_; cat /proc/self/cgroup; } >/run/hook.note.new
mv /run/hook.note.new /run/hook.note
END
chmod 755 /etc/idmode/hooks.d/10-note
cat >/etc/idmode/hooks.d/20-slow <<'END'
#!/bin/sh
: >/run/hook.slow
exec sleep 3000
END
chmod 755 /etc/idmode/hooks.d/20-slow
echo 'pidfile /run/listener.pid' >/etc/idmode/reload
cat >/run/listener <<'END'
trap 'echo loaded >/run/listener.loaded' HUP
echo $$ >/run/listener.pid
while :; do sleep 1000 & wait $! || kill $!; done
END
systemd-run --quiet --unit=listener bash /run/listener
systemctl start idmode-reload.path
for _ in $(seq 600); do
    [[ ! -s /run/listener.pid ]] || break
    sleep 0.1
done
[[ -s /run/listener.pid && ! -e /run/listener.loaded ]]
echo "two hooks and a server wait for a change"
