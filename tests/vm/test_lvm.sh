#!/bin/bash
# The driver of LVM on a real one: see inside/lvm.sh.
set -eu
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
vm_up 1
vm_script a lvm.sh
