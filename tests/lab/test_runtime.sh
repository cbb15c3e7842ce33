#!/bin/bash
# The runtime's front over real LXC: what it says, does and refuses, without daemon and peer.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

ctctl=$(readlink -f "../../${BUILD:-build}/tests/lab/ctctl")
[ -x "$ctctl" ] || ctctl=$(readlink -f "$BUILD/tests/lab/ctctl")

ct() { # NODE ARG...
	on "$1" ctctl "${@:2}" </dev/null
}

# The error of a call that must fail: "ctctl: CODE: TEXT". Nothing when it succeeds.
why() { # NODE ARG...
	ct "$@" 2>&1 >/dev/null | grep '^ctctl: ' || true
}

config_of() { # NODE NAME
	on "$1" cat "/var/lib/lxc/$2/config"
}

# The container's wire form and, after it, where its volumes are.
load() { # NODE NAME
	ct "$1" load "$2"
}

# stage NODE FOLDER [SED]: defines what is on standard input, changed by SED.
stage() {
	sed "${3:-}" | on "$1" ctctl stage "$2" 2>&1 || true
}

preflight() { # NODE SED
	echo "$wire" | sed "${2:-}" | on "$1" ctctl preflight 2>&1 || true
}

# The first of a node's ids for containers.
base() { # NODE
	on "$1" sed -n 's/^root:\([0-9]*\):.*/\1/p' /etc/subuid
}

# A volume's files from a to b, as they are on disk.
carry() { # FOLDER
	on b mkdir -p "$1"
	on a tar -C "$1" -c --numeric-owner . | on b tar -C "$1" -x --numeric-owner -p
}

# The same with the ids that the container sees, which are others on each disk.
carry_shifted() { # FOLDER
	on b mkdir -p "$1"
	on b chown "$(base b):$(base b)" "$1"
	on a lxc-usernsexec -m "b:0:$(base a):65536" -- tar -C "$1" -c --numeric-owner . |
		on b lxc-usernsexec -m "b:0:$(base b):65536" -- tar -C "$1" -x --numeric-owner -p
}

# What the container has written since: yes when its counter moves.
counts() { # NODE NAME
	local before
	before=$(counter_lines "$1" "$2")
	sleep 0.5
	[ "$(counter_lines "$1" "$2")" -gt "$before" ] && echo yes || echo no
}

plan 82
BUILD='' lab_up
for n in a b; do
	on $n sh -c 'cat >/usr/local/bin/ctctl && chmod 755 /usr/local/bin/ctctl' <"$ctctl"
done

# --- a container of LXC's making is seen as it is
make_ct a c1 --busybox --address 10.99.0.101
is "$(ct a list)" c1 "it is listed"
is "$(ct a exists c1) $(ct a exists c2)" "yes no" "it exists, another does not"
is "$(load a c1 | tail -n 1)" "rootfs /var/lib/lxc/c1/rootfs" "its root is where it is"
is "$(ct a state c1)" "stopped 0" "it is stopped"
like "$(why a state nobody)" '^ctctl: not-found: there is no container nobody' "one that is not there is named"
like "$(why a state ../c1)" '^ctctl: invalid: ' "a name is a name"

# --- start: as if lxc-start had done it
ok "it starts" ct a start c1
like "$(ct a state c1)" '^running [1-9]' "it runs"
ok "starting it again is fine" ct a start c1
is "$(counts a c1)" yes "it works"
# shellcheck disable=SC2016 # the node's
monitor=$(on a sh -c 'ps -o ppid= -p "$(lxc-info -Hpn c1)" | tr -d " "')
is "$(on a ps -o ppid= -p "$monitor" | tr -d ' ')" 1 "its monitor is nobody's child"
is "$(on a ps -o sid= -p "$monitor" | tr -d ' ')" "$monitor" "in a session of its own"
is "$(on a sh -c "cut -d: -f3 /proc/$monitor/cgroup | sort -u")" /lxc.monitor.c1 "in control groups of its own"
is "$(on a sh -c "cat /proc/$monitor/comm; tr '\\0' ' ' </proc/$monitor/cmdline; echo; readlink /proc/$monitor/exe")" \
	"$(printf 'lxc-start\n[lxc monitor] /var/lib/lxc c1 \n/usr/bin/lxc-start')" "under LXC's own name, and of its own program"
is "$(on a sh -c "ls -l /proc/$monitor/fd" | grep -cE 'ctctl|memfd:lxc.log|pipe:' || true)" 0 \
	"with nothing open that was ours"

# --- exec
is "$(echo hello | on a ctctl exec c1 cat)" hello "a program inside has our standard input and output"
is "$(ct a exec c1 sh -c 'echo no >&2; exit 7' 2>&1 || echo $?)" "no
7" "its error output and exit status come back"
# shellcheck disable=SC2016
is "$(ct a exec c1 sh -c 'yes | head -n 1; hostname; pwd; echo $PATH' 2>&1)" "y
c1
/
/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "in a clean place, and a broken pipe ends it"
ct a exec c1 /no/such 2>/dev/null && status=0 || status=$?
is "$status" 127 "a program that is not there is 127"
# shellcheck disable=SC2016
on a sh -c 'ctctl exec c1 sleep 1000 2>/dev/null & sleep 0.3; kill -TERM $!; wait $!' && status=0 || status=$?
is "$status" 16 "cancelling ends it"
is "$(ct a exec c1 sh -c 'ps | grep -c "[s]leep 1000" || true')" 0 "and the program inside"

is "$(on a sh -c 'ctctl exec-until c1 1 sleep 1000 2>&1; ctctl exec c1 ps | grep -c "[s]leep 1000"')" \
	'ctctl: timeout: enter container c1 (lxc): "sleep" has not ended in time
0' "and so does a deadline"

# --- freeze
ok "it freezes" ct a freeze c1
like "$(ct a state c1) $(counts a c1)" '^frozen [1-9][0-9]* no$' "it is frozen and does nothing"
like "$(why a exec c1 true)" '^ctctl: state: .*it is frozen' "nothing runs in a frozen one"
ok "freezing it again is fine" ct a freeze c1
ct a thaw c1
like "$(ct a state c1) $(counts a c1)" '^running [1-9][0-9]* yes$' "thawed, it works on"

# --- stop
ct a freeze c1
ok "it stops, even frozen" ct a stop c1
is "$(ct a state c1)" "stopped 0" "it is stopped"
ok "stopping it again is fine" ct a stop c1
like "$(why a freeze c1)" '^ctctl: state: .*it is stopped' "a stopped one cannot be frozen"

# One whose process 1 does not obey.
on a sh -c 'sed "s/^::shutdown.*/::shutdown:\/bin\/sleep 1000/" -i /var/lib/lxc/c1/rootfs/etc/inittab'
ct a start c1
wait_counter a c1 1
like "$(why a stop c1 1 nokill)" '^ctctl: timeout: .*it has not stopped within 1 s' "one that does not obey is left running"
like "$(ct a state c1)" '^running' "it still runs"
ok "unless it is killed" ct a stop c1 1
is "$(on a sh -c 'ps -eo args | grep -c "[/]usr/local/bin/counter" || true')" 0 "then nothing of it is left"

# One that reboots when it is asked to stop: LXC starts it again.
on a sh -c 'sed /^::shutdown/d -i /var/lib/lxc/c1/rootfs/etc/inittab
	cp /var/lib/lxc/c1/config /root/c1.config; echo lxc.signal.halt = SIGTERM >>/var/lib/lxc/c1/config'
ct a start c1
wait_counter a c1 1
like "$(why a stop c1 20 nokill)" '^ctctl: state: .*it rebooted instead of stopping' "one that reboots has not stopped"
ok "it is killed when that is wanted" ct a stop c1 20
is "$(ct a state c1)" "stopped 0" "and does not come back"

# Who asks may be killed before the answer: the container is between running and stopped, then.
cat <<'SLOW' | on a sh -c 'cat >/root/slow'
cp /root/c1.config /var/lib/lxc/c1/config
ctctl start c1
ctctl exec c1 sh -c 'kill -0 1'
ctctl stop c1 &
sleep 0.3
kill -9 $!
ctctl state c1
ctctl start c1
ctctl state c1
sleep 3
ctctl state c1
SLOW
states=$(on a sh /root/slow 2>&1 | cut -d' ' -f2 | tr '\n' ' ')
is "$(echo "$states" | awk '{ print ($1 != $2 && $2 == $3 && $3 > 0) ? "yes" : $0 }')" yes \
	"starting it then waits until it is gone, and starts it anew"
is "$(on a ls /run/wherry/stopping)" "" "and nothing is noted any more"
ct a stop c1

# A monitor that dies takes the container along, unless told not to: then LXC knows nothing of it.
on a sh -c 'echo ::shutdown:/bin/poweroff -f >>/var/lib/lxc/c1/rootfs/etc/inittab
	cp /root/c1.config /var/lib/lxc/c1/config; echo lxc.monitor.signal.pdeath = 0 >>/var/lib/lxc/c1/config'
ct a start c1
# shellcheck disable=SC2016
on a sh -c 'kill -9 "$(ps -o ppid= -p "$(lxc-info -Hpn c1)")"; while lxc-info -Hsn c1 | grep RUNNING; do sleep 0.1; done'
like "$(why a stop c1)" '^ctctl: busy: .*LXC says that it is stopped, but process [0-9]+ is still in it' \
	"what LXC has lost sight of is not called stopped"
# shellcheck disable=SC2016
on a sh -c 'ctctl stop c1 2>&1 | sed "s/.*process \([0-9]*\) .*/\1/" | xargs kill -9; cp /root/c1.config /var/lib/lxc/c1/config'
wait_for 10 ct a stop c1
on a sh -c 'echo lxc.ephemeral = 1 >>/var/lib/lxc/c1/config'
ct a start c1
like "$(why a stop c1)" '^ctctl: state: .*it is ephemeral' "LXC is not made to destroy one by stopping it"
on a lxc-stop -k -n c1
wait_for 10 on a sh -c '! test -e /var/lib/lxc/c1'

# --- errors of LXC come with their cause
make_ct a c1 --busybox --bridge nobridge --address 10.99.0.101
like "$(why a start c1)" '^ctctl: health: start container c1 .lxc.: .*nobridge' "why it does not start: the bridge"
on a sh -c 'echo lxc.nonsense = 1 >>/var/lib/lxc/c1/config'
like "$(why a state c1)" '^ctctl: invalid: LXC cannot read its configuration: ' "why LXC cannot read it"
on a rm -rf /var/lib/lxc/c1

# --- the trip: three kinds of containers, from a to b, by hand
make_ct a priv --busybox --address 10.99.0.101 --line 'lxc.cgroup2.memory.max = 64M' \
	--line 'lxc.cgroup.pids.max = 60' --line 'lxc.cgroup.cpu.shares = 512' --line 'lxc.cgroup2.cpu.max = 50000'
make_ct a shifted --busybox --unprivileged --address 10.99.0.102
make_ct a mapped --busybox --shift --fs /srv/btrfs --address 10.99.0.103 \
	--line 'lxc.mount.entry = /srv/btrfs/mapped/srv-data srv/data none bind,create=dir,idmap=container 0 0'
on a sh -c 'mkdir /srv/btrfs/mapped/srv-data; echo kept >/srv/btrfs/mapped/srv-data/file; chown 5:6 /srv/btrfs/mapped/srv-data/file'
for c in priv shifted mapped; do
	ct a start $c
	wait_counter a $c 1
	ct a stop $c
done
a_base=$(base a)
b_base=$(base b)
is "$(ct b idmap "b 0 $a_base 65536")" "{\"ranges\":[\"u 0 $b_base 65536\",\"g 0 $b_base 65536\"]}" \
	"b gives ids of its own for those of a"
is "$(ct b idmap "u 0 $b_base 10" "g 5 $((b_base + 7)) 3")" \
	"{\"ranges\":[\"u 0 $b_base 10\",\"g 5 $((b_base + 7)) 3\"]}" "and keeps those that are its own"

wire=$(load a priv | head -n 1)
is "$(preflight b)" "" "what b has is enough for it"
is "$(echo "$wire" | stage b /var/lib/lxc/priv)" "" "it is staged on b"
is "$(ct b list) $(ct b exists priv)" " yes" "staged, it is not listed but there"
is "$(on b sh -c 'lxc-start priv 2>/dev/null && echo started; lxc-ls')" "" "and LXC does not start it"
like "$(why b start priv)" '^ctctl: state: .*it is still arriving' "nor do we"
carry /var/lib/lxc/priv/rootfs
ct b publish priv
ok "publishing it again is fine" ct b publish priv
ct b start priv
is "$(counts b priv)" yes "it works on b"
is "$(on b cat /sys/fs/cgroup/memory/lxc.payload.priv/memory.limit_in_bytes /sys/fs/cgroup/pids/lxc.payload.priv/pids.max \
	/sys/fs/cgroup/cpu/lxc.payload.priv/cpu.shares /sys/fs/cgroup/cpu/lxc.payload.priv/cpu.cfs_quota_us | tr '\n' ' ')" \
	"67108864 60 512 50000 " "its limits hold there, whatever version they were written for"
like "$(why b withdraw priv) $(why b undefine priv)" 'it is running.*it is running' "a running one is not taken back"
ct b stop priv
ct b withdraw priv
is "$(ct b list)" "" "stopped, it is"
is "$(stage b /srv/btrfs/shifted "s/ $a_base / $b_base /g" <<<"$(load a shifted | head -n 1)")$(
	stage b /srv/btrfs/mapped "s/ $a_base / $b_base /g" <<<"$(load a mapped | head -n 1)")" "" "unprivileged ones are staged"
on a sh -c 'mkdir -p /srv/btrfs/shifted && mv /var/lib/lxc/shifted/rootfs /srv/btrfs/shifted/'
carry_shifted /srv/btrfs/shifted/rootfs
carry /srv/btrfs/mapped/rootfs
carry /srv/btrfs/mapped/srv-data
for c in shifted mapped; do
	ct b publish $c
	ct b start $c
	is "$(counts b $c)" yes "$c works on b"
done
is "$(ct b exec mapped sh -c 'stat -c %u:%g /srv/data/file; cat /srv/data/file')" "5:6
kept" "with its second volume, and the ids in it"
is "$(on b stat -c '%U:%g %a' /var/lib/lxc/mapped /var/lib/lxc/priv | tr '\n' ' ')" \
	"root:$b_base 750 root:0 770 " "only root and the container's root pass through its folder"
is "$(on b stat -c '%U:%g %a' /srv/btrfs/mapped)" "root:$b_base 750" "also where its pool is elsewhere"
ct b stop shifted
ct b stop mapped

# --- the guard
on b sh -c 'printf "\n# mine, no newline at the end" >>/var/lib/lxc/mapped/config; chmod 604 /var/lib/lxc/mapped/config; cp -p /var/lib/lxc/mapped/config /root/before'
ct b guard mapped
ct b guard mapped
is "$(config_of b mapped | tail -n 1)" "lxc.hook.pre-start = /usr/lib/wherry/lxc-pre-start" "the guard is the last line"
is "$(load b mapped | grep -c lxc-pre-start || true)" 0 "it is no part of the container"
on b sh -c 'mkdir -p /usr/lib/wherry; printf "#!/bin/sh\ntest -e /run/owned\n" >/usr/lib/wherry/lxc-pre-start; chmod 755 /usr/lib/wherry/lxc-pre-start'
like "$(why b start mapped)" '^ctctl: denied: .*this node does not own it' "it keeps the container from starting"
is "$(on b sh -c 'lxc-start mapped 2>/dev/null && echo started')" "" "by lxc-start too"
on b touch /run/owned
ok "or lets it" ct b start mapped
ct b stop mapped
ct b unguard mapped
# shellcheck disable=SC2016
ok "without it every byte is as before" on b sh -c 'cmp /root/before /var/lib/lxc/mapped/config && test "$(stat -c %a /var/lib/lxc/mapped/config)" = 604'

# --- what reaches out is refused, whoever says that it does not
for lie in 's/"options":\[/&{"key":"lxc.hook.mount","value":"\/bin\/true"},/' \
	's/"options":\[/&{"key":"lxc.mount.entry","value":"\/etc etc none bind 0 0"},/' \
	's/"type":"veth"/"type":"none"/' \
	's/"mountpoint":""/&,"options":"idmap=\/proc\/1\/ns\/user"/'; do
	like "$(echo "$wire" | stage b /var/lib/lxc/x "$lie;s/priv/x/g")" '^ctctl: denied: container x would reach out' "$lie"
done
like "$(echo "$wire" | sed 's/"refused":\[/&{"key":"lxc.rootfs.path","value":"dir:\/","reason":"x"}/' |
	on b ctctl stage-allowed /var/lib/lxc/x 2>&1 || true)" '^ctctl: invalid: .*lxc.rootfs.path' \
	"its root is never anybody's to say, even where the rest is allowed"
ok "nothing was written" on b test ! -e /var/lib/lxc/x

# --- what b does not have
like "$(preflight b 's/"br0"/"br7"/')" 'this node has no bridge br7' "a bridge"
like "$(preflight b 's/"limits":{/&"cpuset":"0,77",/')" 'this node has no CPU 77' "a CPU"
like "$(preflight b 's/"common.conf"/"gentoo.conf"/')" 'has no /usr/share/lxc/config/gentoo.conf' "a configuration"
like "$(preflight b 's/"linux64"/"s390x"/')" 'the container is made for s390x' "a processor"
like "$(preflight b "s/\"idmap\":{/&\"ranges\":[\"u 0 $a_base 65536\"]/")" "/etc/subuid has no line \"root:$a_base:65536\"" "ids"
like "$(preflight b 's/"idmap":{/&"ranges":["u 0 0 65536"]/')" 'does not give the ids 0 to 65535' "never those of its own users"

# --- and away again
for c in priv shifted mapped; do ct b undefine $c; done
ok "undefining again is fine" ct b undefine priv
is "$(on b ls /var/lib/lxc /var/lib/lxc/priv)" "/var/lib/lxc:
lost+found
priv

/var/lib/lxc/priv:
rootfs" "configurations are gone, files are not touched"
