#!/bin/bash
# A container as OpenVZ has it, a configuration and a folder, becomes one of LXC: it boots, its limits are in its control group, its
# addresses answer.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

# The first of these files of the container's control groups, whichever version there is.
limit() {
	# shellcheck disable=SC2016 # the node's
	on a sh -c 'for f; do cat /sys/fs/cgroup/*/lxc.payload.101/$f /sys/fs/cgroup/lxc.payload.101/$f 2>/dev/null; done | head -1' sh "$@"
}

inside() {
	on a lxc-attach -n 101 -- "$@" </dev/null 2>&1
}

plan 21
NODES=a lab_up

# --- what an OpenVZ node had: the private area and the configuration
make_ct a made --busybox
on a sh -c 'mkdir -p /vz/private /etc/vz/conf && mv /var/lib/lxc/made/rootfs /vz/private/101 && rm -rf /var/lib/lxc/made'
on a sh -c 'cd /vz/private/101 && touch fastboot && echo "/dev/simfs / reiserfs rw 0 0" >etc/mtab &&
	echo "/dev/simfs / simfs defaults 0 0" >etc/fstab && echo 3.8.0 >etc/alpine-release && echo "nameserver 192.0.2.1" >etc/resolv.conf'
on a sh -c 'cat >/etc/vz/vz.conf' <<'EOT'
VE_ROOT=/vz/root/$VEID
VE_PRIVATE=/vz/private/$VEID
NAMESERVER="192.0.2.53"
TRAFFIC_SHAPING=no
EOT
on a sh -c 'cat >/etc/vz/conf/101.conf' <<'EOT'
ONBOOT="yes"
PHYSPAGES="0:64M"
SWAPPAGES="0:0"
LOCKEDPAGES="256:256"
SHMPAGES="4096:4096"
NUMPROC="60:60"
NUMPTY="16:16"
NUMSIGINFO="128:128"
NUMFILE="512:512"
KMEMSIZE="14372700:14790164"
CPUUNITS="500"
CPULIMIT="50"
CPUS="2"
DISKSPACE="2G:2.2G"
HOSTNAME="vz101.example.org"
IP_ADDRESS="10.99.0.110"
DEVNODES="net/tun:rw"
CAPABILITY="SYS_TIME:on SYS_BOOT:on"
OSTEMPLATE="busybox-1-x86_64"
EOT

# --- converted by its number, as the command line prints it
json=$(on a wherry vz6 config --json --bridge-link br0 101)
get() {
	python3 -c 'import json,sys; v = json.loads(sys.argv[1])
for k in sys.argv[2].split("."): v = v[k]
print(v)' "$json" "$1"
}
is "$(get source.private)" /vz/private/101 "where its files are"
is "$(get dns.nameservers)" "['192.0.2.53']" "name servers of the node's vz.conf"
like "$(on a vpsadminos-convert vz6 config 101 2>/dev/null || on a wherry vz6 config 101)" 'PHYSPAGES = \[0, 16384\]' "what is consumed is listed"
on a sh -c 'wherry vz6 config --strict 101 >/dev/null 2>&1' && status=0 || status=$?
is "$status" 13 "--strict fails: a limit of disk space is not kept"

# --- its files and its configuration under LXC
on a sh -c 'mkdir -p /var/lib/lxc/101 && mv /vz/private/101 /var/lib/lxc/101/rootfs'
{
	get lxc
	echo 'lxc.apparmor.profile = unconfined'
} | on a sh -c 'cat >/var/lib/lxc/101/config'
like "$(on a wherry vz6 fixup --config /etc/vz/conf/101.conf /var/lib/lxc/101/rootfs)" '/etc/mtab: a link to /proc/self/mounts' "fix-ups are made"
like "$(on a wherry vz6 fixup --config /etc/vz/conf/101.conf /var/lib/lxc/101/rootfs)" 'Nothing to change' "the second time there is nothing to do"

on a lxc-start -n 101
is "$(ct_state a 101)" RUNNING "it boots"
is "$(inside hostname)" vz101.example.org "with its name"
is "$(limit memory.max memory.limit_in_bytes)" 67108864 "RAM is limited"
is "$(limit pids.max)" 60 "processes are"
like "$(limit cpu.weight cpu.shares)" '^(50|512)$' "its weight is half of the normal one"
like "$(limit cpu.max cpu.cfs_quota_us)" '^50000' "half a processor"
is "$(inside sh -c 'ulimit -n; ulimit -Hn; ulimit -l' | tr '\n' ' ')" "512 512 1024 " "open files, locked memory"
like "$(inside cat /proc/mounts)" 'devpts.*max=20' "terminals: LXC adds its own four"
ok "the device that it may use" inside test -c /dev/net/tun
is "$(inside ip -4 -o addr show dev eth0 | awk '{ print $4 }')" 10.99.0.110/32 "its address"
ok "answers" wait_for 2 on a curl -fsS -m 1 http://10.99.0.110/
ok "and it reaches its gateway" inside ping -c 1 -W 2 10.99.0.1
on a lxc-stop -n 101 -t 20
is "$(ct_state a 101)" STOPPED "it stops"

# --- the same address on a routed interface, and no IPv6
on a sh -c 'sed -i "s/^IP_ADDRESS=.*/IP_ADDRESS=\"192.0.2.110 2001:db8::110\"\nIPV6=no/" /etc/vz/conf/101.conf'
json=$(on a wherry vz6 config --json --netif-type routed --netif-name venet0 101)
{
	get lxc
	echo 'lxc.apparmor.profile = unconfined'
} | on a sh -c 'cat >/var/lib/lxc/101/config'
on a sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
on a lxc-start -n 101
like "$(inside ip route)" 'default via 169.254.1.1 dev venet0' "routed: a gateway that is on the link only"
is "$(inside cat /proc/sys/net/ipv6/conf/all/disable_ipv6)" 1 "no IPv6 where OpenVZ had none"
on a lxc-stop -n 101 -t 20
