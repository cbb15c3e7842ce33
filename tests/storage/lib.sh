# shellcheck shell=bash
# lib.sh - for tests of storage on real filesystems.
#
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   make_fs a btrfs                 # mounted at $work/a
#   ok "a volume is made" vol a create web rootfs
#   fails not-found "a snapshot that is not there" vol a snapshot-root web rootfs none

# shellcheck source-path=SCRIPTDIR source=../fs.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../fs.sh"

# vol NAME VERB ...: volctl on the pool at $work/NAME.
vol() {
	local pool=$work/$1
	shift
	"$BUILD/tests/storage/volctl" "$pool" "$@"
}

# fails CODE DESCRIPTION CMD...: that it fails with this kind of error. $said is what it said.
said=
fails() {
	local code=$1 what=$2
	shift 2
	if said=$("$@" 2>&1 >/dev/null); then
		_tap_result 1 "$what"
		diag "it did not fail: $*"
	else
		like "$said" "^$code: " "$what"
	fi
}

# furnish DIR [again]: see tests/lab/furnish; without the one thing that a btrfs stream cannot say.
furnish() {
	"$_top/tests/lab/furnish" "$@"
	find "$1" -mindepth 1 -maxdepth 1 -name '0*1' -exec rm -rf {} +
}

# tree DIR: everything about the files below it, as text; lsattr for what only chattr says.
tree() {
	"$_top/tests/lab/manifest" "$1"
	(cd "$1" && find . -printf '%P %A@\n' | sort)
	(cd "$1" && find . \( -type f -o -type d \) -print0 | sort -z | xargs -0 lsattr -d 2>/dev/null) || true
}

# same DIR DIR DESCRIPTION
same() {
	tree "$1" >"$work/tree.1"
	tree "$2" >"$work/tree.2"
	ok "$3" diff -u "$work/tree.1" "$work/tree.2"
}

# has_faults: the build can be told to crash at named points.
has_faults() {
	WHERRY_FAULT_TRACE=$work/trace vol "$1" destroy @none rootfs && [ -e "$work/trace" ]
}

# What only btrfs has: flags, shared extents, a default ACL and compression that new files would inherit.
furnish_btrfs() {
	mkdir "$1/flags" "$1/flags/nocow" "$1/flags/frozen" "$1/small"
	chattr +C "$1/flags/nocow"
	head -c 300000 /dev/zero | tr '\0' x >"$1/flags/nocow/file"
	cp --reflink=always "$1/flags/nocow/file" "$1/flags/nocow/clone"
	echo 1 >"$1/flags/append" && chattr +a "$1/flags/append"
	echo 1 >"$1/flags/nodump" && chattr +dA "$1/flags/nodump"
	echo 1 >"$1/flags/immutable" && chattr +i "$1/flags/immutable"
	echo 1 >"$1/flags/frozen/file" && chattr +i "$1/flags/frozen"
	chattr +SD "$1/small"
	head -c 1048576 /dev/urandom >"$1/data" && sync -f "$1/data"
	cp --reflink=always "$1/data" "$1/shared"
	btrfs property set "$1/many" compression zstd
	setfacl -d -m u:1234:rwx "$1"
	setfacl -d -m u:4321:r "$1/many"
	echo inherits >"$1/inherits"
}

again_btrfs() {
	chattr -i "$1/flags/immutable" && echo 2 >"$1/flags/immutable" && chattr +i "$1/flags/immutable"
	chattr -i "$1/flags/frozen" && mv "$1/flags/frozen/file" "$1/flags/frozen/moved"
	echo 2 >"$1/flags/frozen/new" && chattr +i "$1/flags/frozen"
	chattr -a "$1/flags/append" && mv "$1/flags/append" "$1/flags/plain"
	chattr +a "$1/flags/nodump"
	cp --reflink=always "$1/data" "$1/third"
	fallocate -p -o 262144 -l 131072 "$1/data"
	setfacl -k "$1"
	echo inherits nothing >"$1/later"
}
