/*
 * Swaps a folder and a symbolic link for ever, as fast as it can:
 * what a container does that wants a reader to follow it out.
 *
 *	swap DIR NAME LINK	# both in DIR; until it is killed
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int dir = argc == 4 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;

	if (dir < 0)
		return 2;
	for (;;)
		if (renameat2(dir, argv[2], dir, argv[3], RENAME_EXCHANGE) < 0)
			return 1;
}
