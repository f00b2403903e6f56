/* Of Android's C library, what litert_runner.c uses. */
#pragma once
#include <stddef.h>
int snprintf(char *, size_t, const char *, ...);
