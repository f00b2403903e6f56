/* Names the functions of Android's libdl.so for the linker; never packed, never run. */
void dlclose(void) {}
void dlerror(void) {}
void dlopen(void) {}
void dlsym(void) {}
