#!/bin/bash
# The driver of ZFS on a real one: see inside/zfs.sh.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
vm_up 1
vm_script a zfs.sh
