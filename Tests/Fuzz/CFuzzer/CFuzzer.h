// The entrance of libFuzzer, which the sanitizer runtime of the toolchain brings without a header.

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *bytes, size_t count));
