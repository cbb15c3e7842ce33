#!/bin/bash
# ploop disks, read without OpenVZ's kernel: both versions, chains, plain bases, against what qemu-img reads and what is mounted.
# shellcheck source-path=SCRIPTDIR source=../fs.sh
. "$(dirname "$(readlink -f "$0")")/../fs.sh"
plan 60
here=$(dirname "$(readlink -f "$0")")
wherry=${WHERRY:-$BUILD/src/cli/wherry}

# image BUNDLE FILE [OPTION...]
image() {
	local bundle=$1 file=$2
	shift 2
	"$wherry" vz6 image "$@" "$bundle" "$file"
}

# fails CODE TEXT DESCRIPTION BUNDLE [OPTION...]: no file is left.
fails() {
	local status=0 said
	said=$(image "$4" "$work/refused" "${@:5}" 2>&1) || status=$?
	[ "$status" = "$1" ] && [ ! -e "$work/refused" ] || status="$status or a file"
	is "$status" "$1" "$3"
	like "$said" "$2" "and says so"
	rm -f "$work/refused"
}

# qemu_reads FILE...: the chain, the top first, as qemu-img merges it, into $work/qemu.raw.
qemu_reads() {
	local chain='' prefix='' f driver
	for f in "$@"; do
		driver=parallels
		head -c 16 "$f" | grep -q '^Withou' || driver=raw
		chain+="${prefix}driver=$driver,${prefix}file.driver=file,${prefix}file.filename=$f,"
		prefix+=backing.
	done
	rm -f "$work/qemu.raw"
	qemu-img convert --image-opts "${chain%,}" -O raw "$work/qemu.raw"
}

tree_of() { # DIR
	(cd "$1" && find . -path ./lost+found -prune -o \( -type d -printf '%p d %m %U %G\n' -o -printf '%p %y %m %U %G %s %l\n' \) | sort
	find . -type f -exec sha256sum {} + | sort)
}

# The states of a disk: a file system with a tree, then changed twice, then grown.
mkdir "$work/src"
cp -a /usr/share/doc/bash /etc/passwd "$work/src/"
ln -s ../../etc/shadow "$work/src/link"
truncate -s 3M "$work/src/sparse"
head -c 700000 /dev/urandom >"$work/src/random"
chmod 4711 "$work/src/random"
size=$((48 << 20))
"$here/mkploop.py" gpt "$work/0.raw" $size 2048
mke2fs -q -t ext4 -O ^metadata_csum -d "$work/src" -E offset=$((1 << 20)) "$work/0.raw" 40M
cp "$work/0.raw" "$work/1.raw"
head -c 900000 /dev/urandom >"$work/new"
debugfs -w -R "write $work/new new" "$work/1.raw?offset=1048576" >/dev/null 2>&1
cp "$work/1.raw" "$work/2.raw"
debugfs -w -R "rm random" "$work/2.raw?offset=1048576" >/dev/null 2>&1
cp "$work/2.raw" "$work/3.raw"
truncate -s $((size + (5 << 20) + 512)) "$work/3.raw"
printf 'at the end' | dd of="$work/3.raw" bs=1 seek=$((size + (5 << 20))) conv=notrunc status=none

check() { # NAME RAW-COUNT MKPLOOP-OPTION...
	local name=$1 n=$2 raws=() chain i
	shift 2
	for ((i = 0; i < n; i++)); do raws+=("$work/$i.raw"); done
	mapfile -t chain < <("$here/mkploop.py" bundle "$@" "$work/$name" "${raws[@]}")
	rm -f "$work/out.raw"
	ok "$name: is read" image "$work/$name" "$work/out.raw" --whole
	ok "$name: as it was" cmp "$work/out.raw" "$work/$((n - 1)).raw"
	qemu_reads "${chain[@]}"
	# What qemu reads may be rounded up to a cluster.
	ok "$name: as qemu-img reads it" cmp -n "$(stat -c %s "$work/out.raw")" "$work/out.raw" "$work/qemu.raw"
}

for version in 1 2; do
	check v$version-64k 1 --version $version --cluster 128
	check v$version-1m 1 --version $version --cluster 2048
	check v$version-chain 3 --version $version --cluster 512
	check v$version-grown 4 --version $version --cluster 128
	check v$version-plain 3 --version $version --cluster 256 --plain
done
check plain-alone 1 --plain

# A snapshot of before.
guid=$(head -n 1 "$work/v2-chain/guids")
rm -f "$work/out.raw"
ok "the first snapshot" image "$work/v2-chain" "$work/out.raw" --whole --snapshot "$guid"
ok "is what the disk was" cmp "$work/out.raw" "$work/0.raw"

# The file system alone, mounted; the disk as a pipe; one of qemu's.
rm -f "$work/fs.img"
like "$(image "$work/v1-64k" "$work/fs.img")" 'Partition offset: *1048576' "the file system alone"
mkdir "$work/mnt"
mount -o loop,ro,noload "$work/fs.img" "$work/mnt"
cleanup umount "$work/mnt"
is "$(tree_of "$work/mnt")" "$(tree_of "$work/src")" "has the files that were put in"
used=$(($(stat -c %b "$work/fs.img") * 512))
ok "and is sparse ($used bytes)" [ "$used" -lt $((20 << 20)) ]
ok "to a pipe" cmp <(image "$work/v2-64k" - --whole) "$work/0.raw"
mkdir "$work/qemu"
qemu-img convert -O parallels "$work/0.raw" "$work/qemu/root.hdd"
sed -e 's/<File>[^<]*/<File>root.hdd/' -e 's/<Blocksize>[0-9]*/<Blocksize>2048/' "$work/v2-64k/DiskDescriptor.xml" >"$work/qemu/DiskDescriptor.xml"
ok "qemu's own image" cmp <(image "$work/qemu" - --whole) "$work/0.raw"
mkdir -p "$work/private"
cp -r "$work/v2-64k" "$work/private/root.hdd"
ok "by the private area" cmp <(image "$work/private" - --whole) "$work/0.raw"
dd if=/dev/zero of="$work/private/root.hdd/root.hdd" bs=1 seek=44 count=4 conv=notrunc status=none

# What must be refused.
bad() { # NAME: a copy to spoil
	rm -rf "${work:?}/$1"
	cp -r "$work/v2-64k" "$work/$1"
	echo "$work/$1"
}
poke() { # FILE OFFSET BYTES
	printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
fails 3 'no DiskDescriptor.xml' "a folder without a descriptor" "$work/mnt"
b=$(bad in-use)
poke "$b/root.hdd" 44 '\x59\x6e\x6f\x74'
fails 5 'is in use' "a disk in use" "$b"
ok "unless forced" cmp <(image "$b" - --whole --force) "$work/0.raw"
b=$(bad signature)
poke "$b/root.hdd" 0 X
fails 2 'does not begin as' "another file" "$b"
b=$(bad converting)
poke "$b/root.hdd" 52 '\x02'
fails 13 'not finished' "a change of format" "$b"
b=$(bad beyond)
poke "$b/root.hdd" 64 '\xff\xff\xff\x00'
fails 2 'outside of its data' "a cluster beyond the end" "$b"
b=$(bad outside)
sed -i 's,<File>root.hdd,<File>../v2-64k/root.hdd,' "$b/DiskDescriptor.xml"
fails 7 'outside of its folder' "an image elsewhere" "$b"
b=$(bad link)
rm "$b/root.hdd"
ln -s ../v2-64k/root.hdd "$b/root.hdd"
fails 2 'root.hdd' "an image behind a link" "$b"
b=$(bad bomb)
sed -i '1a <!DOCTYPE x [<!ENTITY a "aaaa">]>' "$b/DiskDescriptor.xml"
fails 2 'document type' "entities" "$b"
b=$(bad blocksize)
sed -i 's/<Blocksize>128/<Blocksize>256/' "$b/DiskDescriptor.xml"
fails 2 'another size' "a descriptor of another disk" "$b"
