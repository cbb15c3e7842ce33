#!/bin/bash
# test_receive.sh - what is arriving, as the destination's operator sees it: listed, cancelled, expired, limited;
# and what a source hears of it that comes back.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

plan 46
SIZE=1G POOLS='ext4 btrfs' lab_up
trust a b
for n in a b; do for p in ext4 btrfs; do on "$n" wherry --quiet pool add $p /srv/$p; done; done

field() { # NAME FIELD: of the one that is arriving under that name on b
	on b wherry receive list --json | jq -r --arg n "$1" ".[] | select(.ct == \$n) | .$2"
}

arriving() {
	on b wherry receive list --json | jq -r '[.[].ct] | join(" ")'
}

nothing_arrives() {
	[ -z "$(arriving)" ]
}

# nothing_of NAME WHAT: nothing of it is on b.
nothing_of() {
	is "$(traces b "$1")$(on b ls -d "/var/lib/lxc/$1" 2>/dev/null || true)" "" "$2: nothing is left on the destination"
	is "$(on b wherry ct list --json | jq -r ".[] | select(.name == \"$1\") | .name")" "" "$2: nor in its list"
}

config() { # LINES: of [receive] on b, in place of what was there
	printf '[receive]\n%s\n' "$1" | on b tee /etc/wherry/wherry.conf >/dev/null
}

is "$(on b wherry receive list)" "" "nothing is arriving: an empty list"
for pool in ext4 btrfs; do
	make_ct a $pool --busybox --fs /srv/$pool
	on a dd if=/dev/urandom of="$(ct_root a $pool)/some" bs=1M count=3 status=none
	on a wherry --quiet ct start $pool
	on a wherry --quiet ct send config $pool b --to-pool $pool
	is "$(field $pool phase) $(field $pool bytes) $(field $pool pool)" "stage 0 $pool" "$pool: it is listed when it is reserved"
	on a wherry --quiet ct send rootfs $pool
	is "$(field $pool phase) $(field $pool key) $(field $pool peer)" "base a 10.99.0.1" "$pool: phase, key and address"
	ok "$pool: all of it has come" test "$(field $pool bytes)" = "$(field $pool total_bytes)" -a "$(field $pool bytes)" -gt 0
	like "$(on b wherry receive list)" "^CT +KEY +PEER +POOL +PHASE +BYTES +TOTAL BYTES +OPENED +IDLE +EXPIRES *
$pool +a +10[.]99[.]0[.]1 +$pool +base" "$pool: as a table"

	# The source does not answer any more; the destination needs it for nothing.
	cut_link on
	on b wherry receive cancel $pool >"/run/wherry-lab/$LAB/said"
	like "$(cat "/run/wherry-lab/$LAB/said")" "^$pool: the transfer is ended, what had arrived .* is removed" "$pool: cancelled"
	nothing_of $pool "$pool"
	like "$(refusal b wherry receive cancel $pool)" "nothing called '$pool' is arriving" "$pool: a second time there is nothing"
	cut_link off
	like "$(refusal a wherry ct send sync $pool)" "has ended on the destination .cancelled: its operator cancelled it there.: cancel it" \
		"$pool: a source that comes back is told"
	like "$(on a wherry ct send status $pool)" "b has ended it: its operator cancelled it there.*\`wherry ct send cancel $pool\`" \
		"$pool: its status says so too"
	is "$(running_on $pool)" a "$pool: it runs where it was"
	ok "$pool: the source's cancel clears up there" on a wherry --quiet ct send cancel $pool
done
ok "and it can be sent again" on a wherry --quiet ct send ext4 b --to-pool ext4
like "$(refusal b wherry receive cancel ext4)" "nothing called 'ext4' is arriving" "what has arrived is not arriving"

# --- by token, while the stream is flowing
on a dd if=/dev/urandom of="$(ct_root a btrfs)/data" bs=1M count=60 status=none
on a wherry ct send btrfs b --to-pool btrfs --bwlimit 5M >"/run/wherry-lab/$LAB/said" 2>&1 </dev/null &
pid=$!
job_at_b() { [ "$(field btrfs phase)" = stage ] && [ "$(field btrfs job)" != null ] && [ "$(field btrfs bytes)" -gt 16000000 ]; }
wait_for 60 job_at_b
token=$(field btrfs token)
ok "in the middle of a stream" on b wherry --quiet receive cancel "$token"
wait $pid && status=0 || status=$?
ok "the one-shot send has failed" test "$status" != 0
wait_for 20 nothing_arrives
nothing_of btrfs "btrfs, by token"
wait_for 30 sh -c "[ \"\$($_lib_dir/on a wherry ct list --json | jq -r '.[] | select(.name == \"btrfs\") | .send')\" = null ]"
is "$(running_on btrfs) $(traces a btrfs | grep -c wherry)" "a 0" "it runs at the source, where nothing of the send is left"

# --- after the hand-over
make_ct a here --busybox
on a wherry --quiet ct start here
on a wherry --quiet ct send config here b
on a wherry --quiet ct send rootfs here
token=$(field here token)
on a wherry --quiet ct send state here
is "$(arriving)" "" "what was handed over is not arriving"
like "$(refusal b wherry receive cancel "$token")" "container 'here' has arrived and belongs to this node.*\`wherry ct delete here\`" \
	"its token is refused, with the command that decides"
is "$(running_on here)" b "and it runs"
on a wherry --quiet ct send cleanup here

# --- expiry: by the daemon itself
config 'expire = 6s'
make_ct a old --busybox
on a wherry --quiet ct send config old b
on a wherry --quiet ct send rootfs old
daemon b stop
daemon b start
is "$(arriving)" old "not before its time"
wait_for 30 nothing_arrives
nothing_of old "expired"
like "$(on b cat /var/log/wherryd.log)" "container 'old' from 10.99.0.1 .key a.: nothing came for [0-9.]+ s .* what had arrived was removed" \
	"the log says so"
like "$(on b wherry ct history old)" "expired" "and the history"
like "$(refusal a wherry ct send sync old)" "cancelled: nothing came for" "a source that comes back is told why"
on a wherry --quiet ct send cancel old

# --- limits
config 'open_per_key = 1'
on a wherry --quiet ct send config old b
make_ct a second --busybox
like "$(refusal a wherry ct send config second b)" "1 containers are arriving with key 'a' .*open_per_key" "no more of one key than it may have"
is "$(arriving)" old "nothing was made for the one too many"
on a wherry --quiet ct send cancel old
ok "when that has ended, the other one may" on a wherry --quiet ct send config second b
on a wherry --quiet ct send cancel second

config ''
on a fallocate -l 450M "$(ct_root a old)/big"
on a fallocate -l 450M "$(ct_root a second)/big"
on a wherry --quiet ct send config old b --to-pool ext4
like "$(refusal a wherry ct send config second b --to-pool ext4)" "free, 4[0-9][0-9].* MiB of it promised to others" \
	"space that is promised to another is not promised again"
on a wherry --quiet ct send cancel old
ok "without that promise there is room" on a wherry --quiet ct send config second b --to-pool ext4
