/* Feeds every file of a corpus folder to the fuzzer it is linked with: one TAP test a file. */
#include <dirent.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static int is_input(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **names;
	int n = argc == 2 ? scandir(argv[1], &names, is_input, alphasort) : -1;

	if (n < 0) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", argv[1], names[i]->d_name);
		_cleanup_free_ char *buf = NULL;
		_cleanup_free_ void *exact = NULL;
		struct err err = ERR_INIT;
		size_t len;

		if (file_read(path, INPUT_MAX, &buf, &len, &err) < 0) {
			printf("not ok %d - %s: %s\n", i + 1, names[i]->d_name, err.text);
			continue;
		}
		/* Without file_read's NUL behind it, so that the sanitizer sees a read too far. */
		exact = xmemdup(buf, len);
		LLVMFuzzerTestOneInput(exact, len);
		printf("ok %d - %s\n", i + 1, names[i]->d_name);
		fflush(stdout);
		free(names[i]);
	}
	free(names);
	return 0;
}
