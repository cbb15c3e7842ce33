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
