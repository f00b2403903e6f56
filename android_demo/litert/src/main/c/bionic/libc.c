/* Names the functions of Android's libc.so for the linker; never packed, never run. */
void calloc(void) {}
void free(void) {}
void malloc(void) {}
void snprintf(void) {}
