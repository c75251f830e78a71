/* The same calls in a program built with -O2 -D_FORTIFY_SOURCE=2, which uses __read_chk and its
 * kind where the compiler knows the buffer but not the length. */
#include "trace.h"

/* A length that the compiler cannot know. */
static size_t length(size_t n)
{
    static volatile size_t keep;
    keep = n;
    return keep;
}

CASE(checked_read)
{
    struct pair p = tcp_pair();
    char data[32];
    MUST(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    long n = read(p.s, data, length(sizeof data));
    trace_data("read", n, data);
    reset(p.c);
    AWAIT(p.s, POLLERR);
    errno = 0;
    n = read(p.s, data, length(sizeof data));
    trace_data("read", n, data);
    n = read(p.s, data, length(sizeof data));
    trace_data("read", n, data);
}

CASE(checked_recv)
{
    struct pair p = tcp_pair();
    char data[32];
    MUST(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    long n = recv(p.s, data, length(2), MSG_PEEK);
    trace_data("recv", n, data);
    n = recv(p.s, data, length(sizeof data), 0);
    trace_data("recv", n, data);
    reset(p.c);
    AWAIT(p.s, POLLERR);
    errno = 0;
    n = recv(p.s, data, length(sizeof data), 0);
    trace_data("recv", n, data);
}

CASE(checked_recvfrom)
{
    struct pair p = tcp_pair();
    struct addr from = { .len = sizeof from.ss };
    char data[32];
    MUST(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    long n = recvfrom(p.s, data, length(sizeof data), 0, &from.sa, &from.len);
    trace_data("recvfrom", n, data);
    trace("length %u", from.len);
    reset(p.c);
    AWAIT(p.s, POLLERR);
    errno = 0;
    n = recvfrom(p.s, data, length(sizeof data), 0, NULL, NULL);
    trace_data("recvfrom", n, data);
}

CASE(checked_on_a_refused_socket)
{
    struct addr none = nobody();
    char data[32];
    int fd = tcp4();
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    errno = 0;
    long n = read(fd, data, length(sizeof data));
    trace_data("read", n, data);
    n = recv(fd, data, length(sizeof data), 0);
    trace_data("recv", n, data);
}

CASE(checked_poll)
{
    struct pair p = tcp_pair();
    struct pollfd f[2] = { { .fd = p.c, .events = ALL_BITS }, { .fd = p.s, .events = ALL_BITS } };
    struct timespec at_once = { 0, 0 };
    MUST(write(p.c, "x", 1));
    AWAIT_OCTETS(p.s, 1);
    T(poll(f, length(2), 0));
    trace("%s, %s", bit_names(f[0].revents), bit_names(f[1].revents));
    T(ppoll(f, length(2), &at_once, NULL));
    trace("%s, %s", bit_names(f[0].revents), bit_names(f[1].revents));
}

CASE(checked_overflow_is_caught)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        char data[8];
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2); /* glibc says "buffer overflow detected" there or on the terminal */
        setsid();
        read(p.s, data, length(64)) < 0 ? _exit(1) : _exit(0);
    }
    MUST(write(p.c, "hello", 5));
    REAP(child);
}
