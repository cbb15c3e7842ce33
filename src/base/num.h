/*
 * Strict numbers: the whole string or nothing, no sign or blanks where none belong, overflow is an
 * error, never a silent 0. Sizes are bytes in uint64_t, durations microseconds in usec_t.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

typedef uint64_t usec_t;
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)

int num_u64(const char *s, uint64_t max, uint64_t *ret, struct err *err) _must_use_;
int num_u32(const char *s, uint32_t max, uint32_t *ret, struct err *err) _must_use_;
int num_port(const char *s, uint16_t *ret, struct err *err) _must_use_; /* 1..65535 */
/* "10", "512K", "1.5GiB", "20M": powers of 1024, optional B or iB. */
int num_size(const char *s, uint64_t *ret, struct err *err) _must_use_;
/* "30", "30s", "500ms", "5m", "2h": a plain number is seconds. */
int num_duration(const char *s, usec_t *ret, struct err *err) _must_use_;

/* For people: "1.5 GiB", "734 B"; "1.2 s", "3 min 10 s". buf is returned. */
#define NUM_HUMAN_MAX 32
const char *num_human_size(uint64_t bytes, char buf[NUM_HUMAN_MAX]);
const char *num_human_usec(usec_t t, char buf[NUM_HUMAN_MAX]);
