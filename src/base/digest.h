/*
 * Names a 128-bit content digest (XXH3-128, canonical byte order): to notice corruption, not
 * attackers (ssh does that). The computing is in tree/digest.h and link/frame.h, where the library
 * is.
 */
#pragma once

#include <stdint.h>

struct digest128 {
	uint8_t b[16];
};
