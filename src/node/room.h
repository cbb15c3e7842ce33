/*
 * A MiB of the disk under the state directory, kept for the end of a hand-over: between the release
 * and the word of who has it, the container is down, and a disk that somebody has filled meanwhile
 * would keep it down on both nodes until that somebody comes. A file: ROOM in the state directory.
 *
 *	room_keep();	now and then: made if it is missing and there is plenty
 *	room_use();	it goes, for what can't wait
 *
 * Neither fails: what could not be kept is missed only on a full disk.
 */
#pragma once

#include <stdbool.h>

void room_keep(void);
bool room_use(void);	  /* false: there was none */
bool room_is_short(void); /* the disk is full, or as good as */
