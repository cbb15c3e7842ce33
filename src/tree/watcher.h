/*
 * The process that tracks changes: reads what the kernel says about a file system, keeps which
 * inodes it was about, and answers to those who ask; see watch.h. It reads nothing of the tree,
 * holds none of its files, and knows nothing of containers.
 */
#pragma once

/* Serves until it is told to end, or until its socket is no longer at path. Exit status. */
int watcher_run(const char *path);
