/*
 * Echo server: one thread, edge-triggered epoll, non-blocking sockets.
 *
 * Build: cc -o epoll_server epoll_server.c
 * Edge-triggered means: told once when something changes. So every event is followed by reading
 * (or accepting, or writing) until EAGAIN; what is left over otherwise is never reported again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "server.h"

/* What has been read from a connection and not yet been written back. */
struct connection {
    int fd;
    int finished; /* read() has returned 0 */
    size_t start, end;
    char buffer[65536];
};

static void watch(int epoll, int fd, void *data)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = data };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        watch(epoll, fd, c);
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        perror("accept4");
}

/* Writes back what is there. 0: all written, or nothing more can be written now. -1: broken. */
static int flush(struct connection *c)
{
    while (c->start < c->end) {
        ssize_t n = write(c->fd, c->buffer + c->start, c->end - c->start);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->start += n;
    }
    c->start = c->end = 0;
    return 0;
}

/* Reads and writes until neither is possible. 0: wait for the next event. -1: finished. */
static int echo(struct connection *c)
{
    for (;;) {
        if (flush(c) < 0)
            return -1;
        if (c->end > 0)
            return 0; /* the peer does not read: the next edge is EPOLLOUT */
        if (c->finished)
            return -1;
        ssize_t n = read(c->fd, c->buffer, sizeof c->buffer);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->finished = n == 0;
        c->end = n;
    }
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "epoll_server PORT (0: any)");
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(port, REUSE_ADDRESS);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    /* The listener must not block either: a connection may be gone before it is accepted. */
    int one = 1;
    if (ioctl(listener, FIONBIO, &one) < 0)
        die("ioctl FIONBIO");
    watch(epoll, listener, NULL);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(epoll, listener);
            else if (echo(c) < 0) {
                close(c->fd);
                free(c);
            }
        }
    }
}
