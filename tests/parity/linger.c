/* SO_LINGER, and what the peer sees of a close. */
#include "trace.h"

CASE(zero_resets_at_once)
{
    struct pair p = tcp_pair();
    linger(p.c, 1, 0);
    T(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    READ(p.s, 16);
    READ(p.s, 16);
}

CASE(zero_throws_unsent_data_away)
{
    struct pair p = tcp_pair();
    static char block[1 << 16];
    fill_up(p.c);
    linger(p.c, 1, 0);
    T(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    long n, total = 0;
    while ((n = read(p.s, block, sizeof block)) > 0)
        total += n;
    trace("some data: %s", total > 0 ? "yes" : "no");
    trace_number("read", n);
}

CASE(zero_leaves_no_time_wait)
{
    struct addr from = v4("127.0.0.1", free_port()), server;
    listener(&server);
    for (int i = 0; i < 3; i++) {
        int c = tcp4();
        T(bind(c, AT(from)));
        T(connect(c, AT(server)));
        linger(c, 1, 0);
        T(close(c));
    }
}

CASE(zero_after_fin_from_the_peer)
{
    struct pair p = tcp_pair();
    T(shutdown(p.s, SHUT_WR));
    AWAIT(p.c, POLLRDHUP);
    linger(p.c, 1, 0);
    T(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    SOERR(p.s);
}

CASE(zero_after_own_fin)
{
    struct pair p = tcp_pair();
    T(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    linger(p.c, 1, 0);
    T(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    READ(p.s, 16);
    WRITE(p.s, "x");
}

CASE(zero_on_a_listener_and_a_fresh_socket)
{
    struct addr server;
    int l = listener(&server), fd = tcp4();
    linger(l, 1, 0);
    linger(fd, 1, 0);
    T(close(l));
    T(close(fd));
}

CASE(zero_with_a_second_holder_does_nothing_yet)
{
    struct pair p = tcp_pair();
    int copy = MUST(dup(p.c));
    linger(p.c, 1, 0);
    T(close(p.c));
    SETTLE(p.s);
    T(close(copy));
    AWAIT(p.s, POLLERR | POLLHUP);
}

CASE(seconds_return_at_once_when_all_is_acknowledged)
{
    struct pair p = tcp_pair();
    linger(p.c, 1, 5);
    T(write(p.c, "abc", 3));
    AWAIT_ACKED(p.c);
    pid_t child = fork();
    if (child == 0) {
        close(p.c);
        read(p.s, (char[8]){ 0 }, 8);
        read(p.s, (char[8]){ 0 }, 8);
        _exit(0);
    }
    MUST(close(p.s));
    long since = now_ms();
    T(close(p.c));
    trace("close() took less than 2 s: %s", now_ms() - since < 2000 ? "yes" : "no");
    REAP(child);
}

CASE(seconds_block_until_the_time_is_over)
{
    struct pair p = tcp_pair();
    static char block[1 << 16];
    fill_up(p.c);
    fcntl(p.c, F_SETFL, 0);
    linger(p.c, 1, 1);
    long since = now_ms();
    T(close(p.c));
    trace_waited(since, 1000);
    NOTE("the data still comes, then the end");
    long n;
    while ((n = read(p.s, block, sizeof block)) > 0)
        ;
    trace_number("read", n);
}

CASE(off_goes_on_in_the_background)
{
    struct pair p = tcp_pair();
    static char block[1 << 16];
    long sent = fill_up(p.c), got = 0, n;
    long since = now_ms();
    T(close(p.c));
    trace("close() took less than 500 ms: %s", now_ms() - since < 500 ? "yes" : "no");
    while ((n = read(p.s, block, sizeof block)) > 0)
        got += n;
    trace_number("read", n);
    trace("all of it: %s", got == sent ? "yes" : "no");
}

CASE(get_and_set)
{
    struct pair p = tcp_pair();
    struct linger l = { 9, 9 };
    socklen_t len = sizeof l;
    T(getsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, &len));
    trace("%d %d, length %u", l.l_onoff, l.l_linger, len);
    l = (struct linger){ 5, 60 };
    T(setsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    T(getsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, &len));
    trace("%d %d, length %u", l.l_onoff, l.l_linger, len);
    l = (struct linger){ 0, 30 };
    T(setsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    T(getsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, &len));
    trace("%d %d, length %u", l.l_onoff, l.l_linger, len);
    T(setsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, 4));
    len = 4;
    T(getsockopt(p.c, SOL_SOCKET, SO_LINGER, &l, &len));
    trace("length %u", len);
}

CASE(linger2)
{
    struct pair p = tcp_pair();
    SET(p.c, IPPROTO_TCP, TCP_LINGER2, 5);
    GET(p.c, IPPROTO_TCP, TCP_LINGER2);
    SET(p.c, IPPROTO_TCP, TCP_LINGER2, -1);
    GET(p.c, IPPROTO_TCP, TCP_LINGER2);
    NOTE("-1: no FIN-WAIT-2 after close: the acknowledgment of its FIN gets RST");
    T(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    WRITE(p.s, "x");
    SOERR(p.s);
}
