/*
 * May the kernel's word on what has changed be taken? Some of its own writers tell nobody:
 * overlayfs before 6.5, and loop devices. Asked before each pass, and again after the container has
 * stopped; where the answer is no, the pass walks.
 */
#pragma once

#include <stdbool.h>

/* Of the file system that the folder is on. */
bool watch_trusted(int rootfd);
/* Does a kernel of that release (uname -r) tell what is written through an overlay? */
bool watch_trust_release(const char *release);
