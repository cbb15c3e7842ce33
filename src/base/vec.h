/*
 * Typed vectors by macro.
 *
 *	VEC(entry_vec, struct entry);
 *	struct entry_vec v = {0};
 *	*entry_vec_push(&v) = e;
 *	for (size_t i = 0; i < v.n; i++) use(&v.v[i]);
 *	entry_vec_done(&v);		// frees the array, not what its elements own
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#include "base/alloc.h"

#define VEC(name, type)                                                                            \
	struct name {                                                                              \
		type *v;                                                                           \
		size_t n, cap;                                                                     \
	};                                                                                         \
	__attribute__((unused)) static inline type *name##_push(struct name *x)                    \
	{                                                                                          \
		if (x->n == x->cap) {                                                              \
			x->cap = x->cap ? x->cap * 2 : 8;                                          \
			x->v = (type *)xreallocarray(x->v, x->cap, sizeof(type));                  \
		}                                                                                  \
		return &x->v[x->n++];                                                              \
	}                                                                                          \
	__attribute__((unused)) static inline void name##_done(struct name *x)                     \
	{                                                                                          \
		free(x->v);                                                                        \
		x->v = NULL;                                                                       \
		x->n = x->cap = 0;                                                                 \
	}                                                                                          \
	struct name
