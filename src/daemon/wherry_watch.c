/*
 * wherry-watch: tracks what changes in a file system for one send; see tree/watch.h. Started by
 * wherry-worker with its socket and the kernel's queue as descriptors, and nothing else: it opens
 * no file of the tree.
 */
#include "base/log.h"
#include "tree/watcher.h"

int main(int argc, char **argv)
{
	log_open("wherry-watch", LOG_LEVEL_INFO);
	return argc == 2 ? watcher_run(argv[1]) : 2;
}
