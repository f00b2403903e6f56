/* Of Android's C library, what litert_runner.c uses. */
#pragma once
#include <stddef.h>
void *calloc(size_t, size_t);
void *malloc(size_t);
void free(void *);
