#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>

// Functions that the C library's headers show only to GNU sources, or that are variadic. They are declared here under
// names of our own and not by including those headers: a header that both this module and Glibc include belongs to
// whichever the compiler happens to load first.
extern int muster_accept4(int descriptor, void *address, void *length, int flags) __asm__("accept4");
extern int muster_prctl(int option, ...) __asm__("prctl");

static inline int muster_set_thread_name(const char *name) {
    return muster_prctl(15 /* PR_SET_NAME */, name, 0L, 0L, 0L);
}
