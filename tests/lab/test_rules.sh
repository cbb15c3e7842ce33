#!/bin/bash
# What an authorised key carries: the rules that it was given, and nothing that somebody wrote into it.
set -eu
cd "$(dirname "$0")"
# shellcheck source=../tap.sh
. ../tap.sh
# shellcheck source=lib.sh
. ./lib.sh

keys_file=/var/lib/wherry/send-receive/authorized_keys

pub() { # the public half of a's key
	# shellcheck disable=SC2016 # the node's shell
	on a sh -c 'cat "$(wherry send key path public)"'
}

# add TEXT [ARGS...]: a key on b; what it says when it refuses.
add() {
	local text=$1
	shift
	# shellcheck disable=SC2069 # only what it says on stderr
	printf '%b' "$text" | on b wherry receive authorized-keys add "$@" 2>&1 >/dev/null &&
		echo "(it took it)"
}

# rule OPTIONS...: a's key on b has these, and no others.
rule() {
	on b wherry --quiet receive authorized-keys del rule 2>/dev/null || true
	pub | on b wherry --quiet receive authorized-keys add rule "$@"
}

# The send as it is refused; from a, of web1.
try() {
	refusal a wherry ct send web1 b "$@"
}

plan 21
lab_up
on a wherry --quiet send key gen
key=$(pub)

# --- what is not one plain key
is "$(add "$key\n")" "(it took it)" "a plain key is taken"
before=$(on b cat $keys_file)
like "$(add "command=\"/bin/sh\" $key\n" x)" '^wherry: ' "a command in front is refused"
like "$(add "${key% *} with \\\\033[31m colour\n" x)" '^wherry: ' "control characters in the comment are"
like "$(add "ssh-rsa ${key#* }\n" x)" '^wherry: ' "another type than that of the key itself is"
like "$(add "$key\rcommand=\"id\" $key\n" x)" '^wherry: ' "a line hidden behind a carriage return is"
like "$(add "$key\n" 'x" no-restrict')" '^wherry: ' "a name that would end the quotes is"
is "$(on b cat $keys_file)" "$before" "after all that sshd's file is as it was"
like "$before" '^[^,]*command="/usr/lib/wherry/wherry-receive [^"]*",restrict ssh-ed25519 ' "a key there has a command and no rights"

# --- rules
for n in $(on b wherry receive authorized-keys list --json | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p'); do
	on b wherry --quiet receive authorized-keys del "$n"
done
make_ct a web1 --busybox
on a lxc-start web1
like "$(try --accept-new-host-key)" '^wherry: .*key' "no key is left: refused"
rule --ctid 'db*'
like "$(try)" '^wherry: .*(web1|db)' "--ctid: another name is refused"
rule --ctid 'web?'
like "$(try --as-id other)" '^wherry: .*(other|web)' "--ctid: it is the name there that counts"
rule --from 10.99.0.77,192.0.2.0/24
like "$(try)" '^wherry: ' "--from: another address is refused"
rule --passphrase secret
like "$(try)" '^wherry: .*passphrase' "--passphrase: it must be given"
like "$(try --passphrase wrong)" '^wherry: .*passphrase' "--passphrase: the right one"
is "$(on b grep -c secret $keys_file || true)$(on b sh -c 'grep -ac secret /var/lib/wherry/state.db' || true)" 00 \
	"--passphrase: it is kept nowhere"
on b wherry --quiet pool add btrfs /srv/btrfs
rule --pool btrfs
like "$(try --to-pool default)" '^wherry: .*(pool|btrfs)' "--pool: another pool is refused"
is "$(running_on web1)$(traces b web1)" a "after all that it runs on and nothing is there"
rule --passphrase secret --single-use --from 10.99.0.1 --ctid 'web*'
is "$(on a wherry --quiet ct send web1 b --passphrase secret; running_on web1)" b "with all rules kept, it moves"
make_ct a web2 --busybox
like "$(refusal a wherry ct send web2 b --passphrase secret)" '^wherry: ' "--single-use: that was it"
is "$(on b wherry receive authorized-keys list)" "" "--single-use: the key is forgotten"
is "$(ct_state a web2)$(traces b web2)" STOPPED "and nothing is there"
