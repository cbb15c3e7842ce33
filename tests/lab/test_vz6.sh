#!/bin/bash
# From OpenVZ: node a has OpenVZ's tools (a stand-in, vzctl) and a running container of theirs, node b has LXC. Exported and
# imported, and migrated in steps and at once: it boots there with its limits and its address, and what goes wrong leaves it on a.
# shellcheck disable=SC2016 # the inner shells'
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

faults_build

vz6() { # ARGS...: on a
	on a wherry vz6 "$@"
}

vz_state() { # CTID
	on a vzctl status "$1" | cut -d ' ' -f 5
}

vz_is() { [ "$(vz_state "$1")" = "$2" ]; }

# How far the counter is: its file on a is in the private area, on b where LXC has it.
count_on() { # NODE CTID
	local f=/vz/private/$2/srv/counter.log
	[ "$1" = a ] || f=$(ct_root b "$2")/srv/counter.log
	on "$1" sh -c 'cat "$0" 2>/dev/null | wc -l' "$f"
}

counts() { # NODE CTID: it goes on counting
	local before
	before=$(count_on "$1" "$2")
	wait_for 20 more_than "$1" "$2" "$before"
}

more_than() { [ "$(count_on "$1" "$2")" -gt "$3" ]; }

answers() { # ADDRESS, from where no node is
	on net curl -fsS -m 1 "http://$1/"
}

# Of both versions of control groups.
limit() {
	on b sh -c 'ct=$0; for f; do cat /sys/fs/cgroup/*/lxc.payload.$ct/$f /sys/fs/cgroup/lxc.payload.$ct/$f 2>/dev/null; done | head -1' "$@"
}

# make_ve CTID ADDRESS [--debian]: as an OpenVZ node has it.
make_ve() {
	make_ct a made "${3:---busybox}"
	on a sh -c 'mkdir -p /vz/private /etc/vz/conf && mv /var/lib/lxc/made/rootfs /vz/private/$0 && rm -rf /var/lib/lxc/made' "$1"
	on a sh -c 'cd /vz/private/$0 && touch fastboot && rm -f etc/mtab && echo "/dev/simfs / reiserfs rw 0 0" >etc/mtab &&
		echo "/dev/simfs / simfs defaults 0 0" >etc/fstab && rm -f etc/resolv.conf && echo "nameserver 192.0.2.1" >etc/resolv.conf' "$1"
	[ $# = 3 ] || on a sh -c 'echo 3.8.0 >/vz/private/$0/etc/alpine-release' "$1"
	on a sh -c 'cat >/etc/vz/conf/$0.conf' "$1" <<EOT
ONBOOT="yes"
PHYSPAGES="0:64M"
SWAPPAGES="0:0"
NUMPROC="60:60"
CPUUNITS="500"
KMEMSIZE="14372700:14790164"
DISKSPACE="2G:2.2G"
HOSTNAME="vz$1.example.org"
IP_ADDRESS="$2"
OSTEMPLATE="busybox-1-x86_64"
EOT
}

# make_ploop CTID: its files go onto a disk.
make_ploop() {
	on a sh -c 'set -e; cd /vz/private; mv "$0" tree; mkdir -p "$0/root.hdd"; truncate -s 256M "$0/root.hdd/root.hds"
		mkfs.ext4 -q -d tree "$0/root.hdd/root.hds"; rm -rf tree; echo "<disk/>" >"$0/root.hdd/DiskDescriptor.xml"
		echo "VE_LAYOUT=ploop" >>"/etc/vz/conf/$0.conf"' "$1"
}

# Everything of a migration, wherever: nothing, after it.
left() { # CTID
	traces b "$1"
	on a sh -c 'ls -d /etc/vz/conf/$0.mount /etc/vz/conf/*before-wherry /var/lib/wherry-vz6/transfer/* /etc/cron.d/wherry-vz6 \
		/srv/ext4/*.partial /run/wherry-vz6/held.* 2>/dev/null' "$1" || true
}

nothing_left() { [ -z "$(left "$1")" ]; }

stage() { # CTID [OPTIONS...]
	vz6 migrate stage --bridge-link br0 "$@"
}

plan 88
lab_up
# Not on the node's overlay, where what is one file system looks like two.
on a sh -c 'mkdir -p /srv/ext4/vz /vz && mount --bind /srv/ext4/vz /vz'
on a sh -c 'mkdir -p /etc/vz/conf /var/lib/vz/run && cat >/usr/sbin/vzctl && chmod 755 /usr/sbin/vzctl && ln -sf vzctl /usr/sbin/vzlist' <vzctl
on a sh -c 'cat >/etc/vz/vz.conf' <<'EOT'
VE_ROOT=/vz/root/$VEID
VE_PRIVATE=/vz/private/$VEID
NAMESERVER="192.0.2.53"
EOT
# Document 3's preparation: root's own key.
on a sh -c 'mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t rsa -N "" -f /root/.ssh/id_rsa && ssh-keyscan -t ed25519 b 2>/dev/null >/root/.ssh/known_hosts'
on a cat /root/.ssh/id_rsa.pub | on b wherry --quiet receive authorized-keys add a

make_ve 101 10.99.0.110
on a vzctl start 101 >/dev/null
ok "the container of OpenVZ runs and counts" counts a 101
ok "and answers" wait_for 5 answers 10.99.0.110

# --- what can't be
like "$(refusal a wherry vz6 export 999 /srv/ext4/no.tar)" 'no container .999. on this node: `vzlist -a`' "one that is not there"
like "$(refusal a wherry vz6 migrate sync 101)" 'vz6 migrate stage 101 HOST. comes first' "a step before the first, in the words of vz6"
on a touch /var/lib/vz/odd-status
like "$(refusal a wherry vz6 export 101 /srv/ext4/no.tar)" 'none of its known answers' "an answer of vzctl that is not known"
on a rm /var/lib/vz/odd-status
on a sh -c 'mkdir /vz/private/other && touch /var/lib/vz/odd-private'
like "$(refusal a wherry vz6 export 101 /srv/ext4/no.tar)" 'which of both is right' "vzlist and the configuration disagree"
on a sh -c 'rmdir /vz/private/other && rm /var/lib/vz/odd-private'
like "$(refusal a wherry vz6 migrate stage --netif-type tun 101 b)" 'bridge or routed' "an option that makes no sense"
like "$(refusal a wherry vz6 export --zfs 101 /srv/ext4/no.tar)" 'needs --zfs-dataset' "half of the options of ZFS"

# --- exported and imported
said=$(vz6 export --bridge-link br0 101 /srv/ext4/ct-101.tar)
like "$said" 'Parsing config.Consumed config items:.  ' "the report in document 3's form"
like "$said" 'PHYSPAGES = \[0, 16384\]' "what is consumed"
like "$said" 'Ignored config items:.*KMEMSIZE = "14372700:14790164"' "what is ignored"
like "$said" '/etc/mtab: a link to /proc/self/mounts' "what is to be changed inside"
is "$(vz_state 101)" running "it runs again"
ok "and counts" counts a 101
like "$(on a tar -tf /srv/ext4/ct-101.tar | tr '\n' ' ')" '^metadata.yml .*config/container.yml .*rootfs/base.tar.gz' "osctl's layout"
on a cat /vz/private/101/etc/fstab >"/tmp/$LAB.fstab"
cleanup rm -f "/tmp/$LAB.fstab"
is "$(cat "/tmp/$LAB.fstab")" "/dev/simfs / simfs defaults 0 0" "its own files are not changed"
on a vzctl stop 101 >/dev/null
on a cat /srv/ext4/ct-101.tar | on b sh -c 'cat >/srv/ext4/ct-101.tar'
like "$(on b wherry ct import /srv/ext4/ct-101.tar)" 'changed inside \(mtab\)' "the import changes inside what OpenVZ left"
on b wherry --quiet ct start 101
ok "and boots" counts b 101
is "$(on b lxc-attach -n 101 -- hostname </dev/null)" vz101.example.org "with its name"
is "$(limit 101 memory.max memory.limit_in_bytes)" 67108864 "its memory"
is "$(limit 101 pids.max)" 60 "its processes"
ok "its address answers" wait_for 5 answers 10.99.0.110
is "$(counter_holes b 101)" "" "no line of its counter is missing"
on b wherry --quiet ct delete --force 101
on a vzctl start 101 >/dev/null
is "$(left 101)" "" "nothing lies about"

# An export that dies half way: the container runs again, by itself.
on a env WHERRY_FAULT=export.stopped:kill wherry vz6 export -f 101 /srv/ext4/ct-101.tar >/dev/null 2>&1 || true
ok "killed in the stop of an export: it runs again by itself" wait_for 20 vz_is 101 running
ok "and nothing lies about" wait_for 20 nothing_left 101
said=$(vz6 export --format wherry -f --bridge-link br0 101 /srv/ext4/ct-101.wherry)
on a cat /srv/ext4/ct-101.wherry | on b sh -c 'cat >/srv/ext4/ct-101.wherry'
on a vzctl stop 101 >/dev/null
ok "Wherry's own archive, too" on b wherry --quiet ct import --start /srv/ext4/ct-101.wherry
ok "boots" counts b 101
on b wherry --quiet ct delete --force 101
on a vzctl start 101 >/dev/null

# --- the guard, and cancelling at each step
on a sh -c 'printf "#!/bin/sh\necho \$VEID >>/run/mounted\n" >/etc/vz/conf/101.mount && chmod 755 /etc/vz/conf/101.mount'
like "$(stage 101 b)" 'Next: `wherry vz6 migrate sync 101`' "stage says what is next"
ok "the node's mount script asks Wherry" on a grep -q may-start /etc/vz/conf/101.mount
ok "the container can be stopped and started meanwhile" on a sh -c 'vzctl stop 101 && vzctl start 101'
is "$(on a cat /run/mounted)" 101 "and its own mount script runs"
like "$(refusal a wherry vz6 migrate transfer 101)" 'vz6 migrate sync 101' "a step is not left out"
vz6 --quiet migrate cancel 101
is "$(on a head -n 2 /etc/vz/conf/101.mount | tail -n 1)" 'echo $VEID >>/run/mounted' "cancelled: its mount script is there again"
on a rm /etc/vz/conf/101.mount
is "$(left 101)" "" "and nothing is left on either node"
stage --quiet 101 b
vz6 --quiet migrate sync 101
vz6 --quiet migrate sync 101
is "$(vz_state 101)" running "after two syncs it still runs"
vz6 --quiet migrate cancel 101
is "$(left 101)" "" "cancelled after them: nothing is left"
is "$(vz_state 101)" running "it runs"

# --- migrate now asks
said=$(echo n | vz6 migrate now --bridge-link br0 101 b 2>&1) && status=0 || status=$?
like "$said" 'Configuration for LXC:.*lxc.cgroup2.memory.max = 67108864.*continue' "migrate now shows the configuration and asks"
is "$status,$(left 101)" "16," "who does not say yes is left as before"

# --- what goes wrong before the hand-over
on b sh -c 'printf "[health]\ntcp = 81\ntimeout = 2s\n" >>/etc/wherry/wherry.conf'
stage --quiet 101 b
vz6 --quiet migrate sync 101
like "$(refusal a wherry vz6 migrate transfer 101)" 'gave container .101. back' "it does not come up there: given back"
is "$(vz_state 101)" running "it runs here again"
ok "and counts" counts a 101
ok "nothing is left there" wait_for 20 nothing_left 101
on b sh -c 'sed -i "/health/,\$d" /etc/wherry/wherry.conf'
for point in handover.stopped handover.delta handover.prepared handover.release.before; do
	stage --quiet 101 b
	vz6 --quiet migrate sync 101
	on a env WHERRY_FAULT=$point:kill wherry vz6 --quiet migrate transfer 101 >/dev/null 2>&1 || true
	ok "killed at $point: it runs here again by itself" wait_for 30 vz_is 101 running
	is "$(ct_state b 101)" "" "and not there"
	vz6 --quiet migrate cancel 101
	is "$(left 101)" "" "then it can be cancelled"
done
stage --quiet 101 b
vz6 --quiet migrate sync 101
cut_link on
like "$(refusal a env WHERRY_CONFIG=/dev/null wherry vz6 migrate sync 101)" 'b' "a dead link is told"
is "$(vz_state 101)" running "it runs meanwhile"
cut_link off
vz6 --quiet migrate sync 101

# --- the hand-over
json=$(vz6 --json migrate transfer 101 | tail -n 1)
diag "stopped for $(python3 -c 'import json,sys; print(json.loads(sys.argv[1])["result"]["stop_ms"])' "$json") ms"
is "$(ct_state b 101),$(vz_state 101)" "RUNNING,down" "it runs there and nowhere else"
ok "it counts" counts b 101
is "$(counter_holes b 101)" "" "no line of its counter is missing"
ok "its address answers" wait_for 5 answers 10.99.0.110
is "$(limit 101 memory.max memory.limit_in_bytes),$(limit 101 pids.max)" 67108864,60 "its limits hold"
like "$json" '"fixup": *"mtab"' "what was changed inside is told"
is "$(on b readlink "$(ct_root b 101)/etc/mtab")" /proc/self/mounts "and is so there"
ok "vzctl does not start it here" on a sh -c '! vzctl start 101'
on a sed -i /DISABLED/d /etc/vz/conf/101.conf
on a vzctl start 101 >/dev/null 2>&1 && status=0 || status=$?
is "$status" 79 "nor where that is undone: its mount script refuses"
vz6 --quiet migrate cleanup 101
is "$(on a grep DISABLED /etc/vz/conf/101.conf),$(on a ls -d /vz/private/101)" 'DISABLED="yes",/vz/private/101' "after cleanup its files are here, disabled"
is "$(left 101 | grep -v /var/lib/lxc/101)" "" "and nothing else"

# --- all at once, to be removed here; the answer to the commit is lost
make_ve 102 10.99.0.111
on a vzctl start 102 >/dev/null
on a env WHERRY_FAULT=handover.release.after:kill wherry vz6 --quiet migrate now -y --delete --bridge-link br0 102 b >/dev/null 2>&1 || true
ok "killed after the commit: it goes on to the end by itself" wait_for 40 counts b 102
ok "and is removed here" wait_for 40 on a sh -c '! test -e /vz/private/102'
is "$(counter_holes b 102)" "" "no line of its counter is missing"
ok "it answers" wait_for 5 answers 10.99.0.111

# --- on a ploop disk, and routed at the destination
make_ve 103 192.0.2.113
make_ploop 103
ok "a container on a disk, that is stopped, is looked at" vz6 --quiet migrate stage --netif-type routed 103 b
is "$(on a vzctl status 103)" "CTID 103 exist mounted down" "its disk is mounted for that"
vz6 --quiet migrate cancel 103
is "$(on a vzctl status 103)" "CTID 103 exist unmounted down" "and unmounted after a cancel"
on a vzctl start 103 >/dev/null
on b sysctl -qw net.ipv4.ip_forward=1
ok "migrated while it runs" vz6 --quiet migrate now -y --netif-type routed 103 b
is "$(ct_state b 103),$(on a vzctl status 103)" "RUNNING,CTID 103 exist unmounted down" "it runs there, and its disk here is unmounted"
is "$(counter_holes b 103)" "" "no line of its counter is missing"
# The kernel answers for the gateway (proxy ARP) only where it has a route to it, as every host with a default route.
on b ip route add default via 10.99.0.254 dev br0
ok "its routed address answers" wait_for 10 on b curl -fsS -m 1 http://192.0.2.113/
on b ip route del default

# --- a real distribution, with systemd: its control groups are LXC's from its first start there on
make_ve 104 10.99.0.114 --debian
on a sed -i -e 's/^PHYSPAGES.*/PHYSPAGES="0:512M"/' -e 's/^NUMPROC.*/NUMPROC="300:300"/' /etc/vz/conf/104.conf
on a sh -c 'mkdir -p /vz/private/104/etc/network && cat >/vz/private/104/etc/network/interfaces' <<'EOT'
auto lo
iface lo inet loopback
auto venet0
iface venet0 inet manual
	up ifconfig venet0 up
	up ifconfig venet0 127.0.0.2
EOT
on a vzctl start 104 >/dev/null
ok "Debian runs as OpenVZ has it" counts a 104
ok "migrated" vz6 --quiet migrate now -y --delete --bridge-link br0 104 b
ok "it counts" counts b 104
is "$(counter_holes b 104)" "" "no line of its counter is missing"
ok "it answers" wait_for 10 answers 10.99.0.114
is "$(on b lxc-attach -n 104 -- cat /proc/1/comm </dev/null)" systemd "systemd runs it"
is "$(on b grep -c venet0 "$(ct_root b 104)/etc/network/interfaces")" 0 "venet0 is gone from its interfaces"
like "$(on b wherry vz6 fixup --dry-run "$(ct_root b 104)")" 'Nothing to change' "another run of the fix-ups has nothing to do"
