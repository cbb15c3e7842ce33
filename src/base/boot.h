/*
 * Which boot of this host it is: what was written without a sync means nothing in another one.
 */
#pragma once

#define BOOT_ID_MAX 40

/* The kernel's id of this boot as text, NUL to the end of buf; "" if it does not say. */
void boot_id(char buf[BOOT_ID_MAX]);
