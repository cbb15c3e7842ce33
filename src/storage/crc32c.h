/*
 * Inside storage/ only: CRC-32C as btrfs uses it in send streams: seed 0, nothing inverted.
 *
 *	crc = crc32c(0, a, n);
 *	crc = crc32c(crc, b, m);	// of a and b in a row
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *buf, size_t n);
uint32_t crc32c_portable(uint32_t crc, const void *buf, size_t n); /* what crc32c is without help */
