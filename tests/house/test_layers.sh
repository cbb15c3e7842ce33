#!/bin/bash
# tools/check-layers sees what it is there for.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=../tap.sh
. tests/tap.sh

tmp=$(mktemp -d)
cleanup rm -rf "$tmp"

# said PATH LINE...: what it says about a file of these lines.
said() {
	local path=$tmp/src/$1
	shift
	rm -rf "$tmp/src"
	mkdir -p "$(dirname "$path")"
	printf '%s\n' "$@" >"$path"
	tools/check-layers "$tmp/src" || true
}

plan 15
is "$(said node/x.c '#include <sqlite3.h>' '#include "node/y.h"' '#include "base/err.h"')" "\
src/node/x.c:1: <sqlite3.h>: only in src/node/state" "a library in another file of its folder"
is "$(said node/state_x.c '#include <sqlite3.h>' '#include "model/idmap.h"')" "" "what is allowed"
like "$(said base/x.c '#include "model/idmap.h"')" 'model lies above base' "upwards"
like "$(said tree/x.h '#include "storage/pool.h"')" 'do not know each other' "sideways"
like "$(said cli/x.c '#include "move/send.h"')" 'cli uses only' "the command line is no part of the engine"
like "$(said base/x.c '#include "err.h"')" 'written from src/' "a header beside the file"
like "$(said base/x.c '#include "extra/x.h"')" 'no such folder' "a folder that is not on the map"
like "$(said base/x.c '  #  include <curl/curl.h>')" 'does not know' "an unknown library"
is "$(said base/x.c '#include <sys/stat.h>' '#include <jansson.h>' '#include <linux/fs.h>')" "" "libc, kernel, JSON"
like "$(said move/x.c 'int f(void) { return fork(); }')" 'x.c:1: fork\(\): only' "fork"
like "$(said move/x.c '' '	if (system ("x"))')" 'x.c:2: system\(\)' "system"
like "$(said move/x.c '	execvp(a, b);')" 'execvp' "exec"
is "$(said base/proc.c 'pid = fork();')" "" "the one file that may"
is "$(said move/x.c '/* fork() here' 'and system() */' 'f("popen(x)"); // popen(x)')" "" "comments and strings"
is "$(said move/x.c 'file_system(a); x->clone(y); my_fork();')" "" "other names"
