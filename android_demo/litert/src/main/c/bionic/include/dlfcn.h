/* Of Android's C library, what litert_runner.c uses. */
#pragma once
enum { RTLD_LOCAL = 0, RTLD_NOW = 2 };
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
int dlclose(void *);
char *dlerror(void);
