#!/bin/bash
# What the destination must be: a Wherry that speaks our protocol; and what it must give: the limits, the start at boot.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# limit FILE...: of the container's control group on b, whichever version it is.
limit() {
	# shellcheck disable=SC2016 # the node's shell
	on b sh -c 'for f; do cat /sys/fs/cgroup/*/lxc.payload.web/$f /sys/fs/cgroup/lxc.payload.web/$f 2>/dev/null; done | head -1' sh "$@"
}

plan 10
lab_up
trust a b
make_ct a web --busybox --line 'lxc.cgroup.memory.limit_in_bytes = 134217728' --line 'lxc.cgroup.pids.max = 77' \
	--line 'lxc.cgroup.cpu.cfs_quota_us = 50000' --line 'lxc.start.auto = 1' --line 'lxc.start.delay = 3'
on a wherry --quiet ct start web
wait_counter a web 3
config=$(on a cat /var/lib/lxc/web/config)

# A Wherry of another time
on b mv /usr/lib/wherry/wherry-receive /usr/lib/wherry/kept
on b sh -c 'cat >/usr/lib/wherry/wherry-receive && chmod 755 /usr/lib/wherry/wherry-receive' <<-'EOT'
	#!/bin/sh
	echo '{"ok": {"protocol": [99], "version": "9.9", "node": "x", "hostname": "b", "pools": []}}'
EOT
like "$(refusal a wherry ct send web b)" '^wherry: b runs Wherry 9.9.*protocol' "another protocol is one clear sentence"
on b sh -c 'echo "#!/bin/sh" >/usr/lib/wherry/wherry-receive'
like "$(refusal a wherry ct send web b)" '^wherry: .*b' "so is a peer that says nothing"
is "$(on a cat /var/lib/lxc/web/config)" "$config" "nothing was changed"
on b mv /usr/lib/wherry/kept /usr/lib/wherry/wherry-receive

ok "now it is sent" on a wherry --quiet ct send web b
is "$(running_on web | tr '\n' ' ')" "b " "it runs there"
is "$(limit memory.limit_in_bytes memory.max)" 134217728 "with its memory"
is "$(limit pids.max)" 77 "its processes"
like "$(limit cpu.cfs_quota_us cpu.max)" '^50000' "its share of the CPU"
is "$(on b sed -n 's/^lxc.start.auto *= *//p' /var/lib/lxc/web/config)" 1 "it starts with its node"
is "$(on b sed -n 's/^lxc.start.delay *= *//p' /var/lib/lxc/web/config)" 3 "as late as before"
