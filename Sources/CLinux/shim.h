#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

// Declared by the headers only for GNU sources, which a module cannot ask for.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

static inline int muster_accept(int descriptor) {
    return accept4(descriptor, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
// prctl is variadic.
static inline int muster_set_thread_name(const char *name) {
    return prctl(PR_SET_NAME, name, 0, 0, 0);
}
