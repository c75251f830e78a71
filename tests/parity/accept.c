/* listen() and accept(). */
#include "trace.h"

CASE(blocking_accept_waits)
{
    struct pair p = { .l = -1 };
    struct addr from = { .len = sizeof from.ss };
    p.l = listener(&p.server);
    pid_t child = fork();
    if (child == 0) {
        wait_blocked(getppid());
        int c = connected_to(&p.server);
        char x;
        _exit(read(c, &x, 1) == 0 ? 0 : 1);
    }
    p.s = FD(accept(p.l, &from.sa, &from.len));
    trace("from an IPv4 address of length %u: %s", from.len,
          from.sa.sa_family == AF_INET ? "yes" : "no");
    MUST(close(p.s));
    REAP(child);
}

CASE(the_address_given_is_the_peers_name)
{
    struct addr server, from = { .len = sizeof from.ss };
    int l = listener(&server), c = connected_to(&server);
    struct addr mine = local(c);
    int s = FD(accept(l, &from.sa, &from.len));
    trace("%s", memcmp(&mine.v4, &from.v4, sizeof mine.v4) == 0 ? "equal" : "different");
    trace("client's %s, given %s", addr_text(&mine), addr_text(&from));
    NAMES(s);
    NAMES(c);
}

CASE(address_lengths_are_clipped)
{
    struct addr server;
    int l = listener(&server);
    for (int room = 0; room < 20; room += 4) {
        struct addr from;
        memset(&from, 0xee, sizeof from);
        from.len = room;
        connected_to(&server);
        FD(accept(l, &from.sa, &from.len));
        trace("room %d: length %u, family known %s, octet behind untouched %s", room, from.len,
              room >= 2 && from.sa.sa_family == AF_INET ? "yes" : "no",
              ((unsigned char *)&from.ss)[room < 16 ? room : 16] == 0xee ? "yes" : "no");
    }
}

CASE(bad_arguments)
{
    struct addr server, from = { .len = -1 };
    int l = listener(&server);
    nonblocking(l);
    FD(accept(-1, NULL, NULL));
    FD(accept(0, NULL, NULL));
    FD(accept4(l, NULL, NULL, 1));
    FD(accept4(l, NULL, NULL, O_APPEND));
    FD(accept(l, NULL, NULL));
    connected_to(&server);
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    NOTE("a negative length: what becomes of the connection?");
    FD(accept(l, &from.sa, &from.len));
    FD(accept(l, NULL, NULL));
}

CASE(accept4_flags)
{
    struct addr server;
    int l = listener(&server);
    static const int flags[] = { 0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC };
    for (int i = 0; i < 4; i++) {
        connected_to(&server);
        int s = FD(accept4(l, NULL, NULL, flags[i]));
        trace("O_NONBLOCK %d, FD_CLOEXEC %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK), fcntl(s, F_GETFD));
    }
    NOTE("O_NONBLOCK of the listener is not inherited");
    nonblocking(l);
    connected_to(&server);
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    int s = FD(accept(l, NULL, NULL));
    trace("O_NONBLOCK %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK));
    trace("access mode is O_RDWR: %d", (fcntl(s, F_GETFL) & O_ACCMODE) == O_RDWR);
}

CASE(nothing_to_accept)
{
    struct addr server;
    int l = listener(&server);
    nonblocking(l);
    POLL(l);
    FD(accept(l, NULL, NULL));
    connected_to(&server);
    AWAIT(l, POLLIN);
    FD(accept(l, NULL, NULL));
    POLL(l);
    FD(accept(l, NULL, NULL));
}

CASE(in_the_order_of_arrival)
{
    struct addr server;
    int l = listener(&server);
    int c[5];
    for (int i = 0; i < 5; i++) {
        char digit = '0' + i;
        c[i] = connected_to(&server);
        MUST(write(c[i], &digit, 1));
    }
    for (int i = 0; i < 5; i++) {
        int s = MUST(accept(l, NULL, NULL));
        AWAIT_OCTETS(s, 1);
        READ(s, 4);
    }
}

CASE(data_and_fin_before_accept)
{
    struct addr server;
    int l = listener(&server), c = connected_to(&server);
    T(send(c, "early", 5, 0));
    T(close(c));
    AWAIT(l, POLLIN);
    int s = FD(accept(l, NULL, NULL));
    AWAIT(s, POLLRDHUP);
    READ(s, 16);
    READ(s, 16);
}

CASE(reset_before_accept)
{
    struct addr server, from = { .len = sizeof from.ss };
    int l = listener(&server), c = connected_to(&server);
    nonblocking(l);
    MUST(send(c, "early", 5, 0));
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    AWAIT_ACKED(c);
    reset(c);
    SETTLE(l);
    int s = FD(accept(l, &from.sa, &from.len));
    AWAIT(s, POLLERR);
    READ(s, 16);
    READ(s, 16);
    READ(s, 16);
    FD(accept(l, NULL, NULL));
}

/* Descriptors used up: EMFILE, again and again, and the connection stays in the queue. */
static void table_full(int lowered)
{
    struct addr server;
    int l = listener(&server), c = connected_to(&server), filler[4096], n = 0;
    struct rlimit limit, old;
    MUST(getrlimit(RLIMIT_NOFILE, &old));
    limit = old;
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    limit.rlim_cur = lowered ? c + 1 : 256;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    while (n < 4096 && (filler[n] = dup(1)) >= 0)
        n++;
    FD(accept(l, NULL, NULL));
    POLL(l);
    FD(accept4(l, NULL, NULL, SOCK_CLOEXEC));
    FD(socket(AF_INET, SOCK_STREAM, 0));
    while (n > 0)
        close(filler[--n]);
    MUST(setrlimit(RLIMIT_NOFILE, &old));
    int s = FD(accept(l, NULL, NULL));
    T(write(c, "kept", 4));
    AWAIT_OCTETS(s, 4);
    READ(s, 16);
}
CASE(emfile_keeps_the_connection_limit_lowered) { table_full(1); }
CASE(emfile_keeps_the_connection_table_filled) { table_full(0); }

CASE(backlog_0_takes_one)
{
    struct addr server = v4("127.0.0.1", 0);
    int l = listener_at(&server, 0), first = connected_to(&server), second = tcp4();
    AWAIT(l, POLLIN);
    nonblocking(second);
    T(connect(second, AT(server)));
    SETTLE(second);
    STATE(second);
    STATE(first);
    NOTE("accepting one makes room, and the SYN comes again");
    FD(accept(l, NULL, NULL));
    AWAIT(second, POLLOUT);
    SOERR(second);
    FD(accept(l, NULL, NULL));
}

CASE(backlog_1_takes_two)
{
    struct addr server = v4("127.0.0.1", 0);
    int l = listener_at(&server, 1);
    nonblocking(l);
    connected_to(&server);
    connected_to(&server);
    int third = tcp4();
    nonblocking(third);
    T(connect(third, AT(server)));
    SETTLE(third);
    FD(accept(l, NULL, NULL));
    FD(accept(l, NULL, NULL));
    FD(accept(l, NULL, NULL));
}

CASE(negative_backlog)
{
    struct addr any = v4("127.0.0.1", 0);
    int l = tcp4();
    MUST(bind(l, AT(any)));
    T(listen(l, -1));
    any = local(l);
    for (int i = 0; i < 3; i++)
        connected_to(&any);
    for (int i = 0; i < 3; i++)
        FD(accept(l, NULL, NULL));
}

CASE(listen_without_bind_takes_any_port)
{
    int l = tcp4();
    T(listen(l, 4));
    SOCKNAME(l);
    struct addr a = v4("127.0.0.1", 0), mine = local(l);
    a = with_port(a, port_of(&mine));
    int c = tcp4();
    T(connect(c, AT(a)));
    FD(accept(l, NULL, NULL));
}

CASE(listen_again_changes_the_backlog)
{
    struct addr server = v4("127.0.0.1", 0);
    int l = listener_at(&server, 0), second = tcp4();
    T(listen(l, 5));
    connected_to(&server);
    nonblocking(second);
    T(connect(second, AT(server)));
    AWAIT(second, POLLOUT);
}

CASE(closing_the_listener_resets_who_was_not_accepted)
{
    struct addr server;
    int l = listener(&server), waiting = connected_to(&server), taken = connected_to(&server);
    int s = FD(accept(l, NULL, NULL));
    NOTE("the first is accepted, the second is not");
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    T(close(l));
    AWAIT(taken, POLLERR);
    READ(taken, 16);
    READ(taken, 16);
    SETTLE(waiting);
    T(write(s, "still here", 10));
    AWAIT_OCTETS(waiting, 10);
    READ(waiting, 16);
    struct addr none = server;
    T(connect(tcp4(), AT(none)));
}

CASE(closing_the_listener_right_after_accept_harms_nothing)
{
    int echoed = 0;
    for (int i = 0; i < 200; i++) {
        struct addr server = v4("127.0.0.1", free_port());
        int l = tcp4();
        char x = '?';
        MUST(bind(l, AT(server)));
        MUST(listen(l, 4));
        int c = connected_to(&server), s = MUST(accept(l, NULL, NULL));
        MUST(close(l));
        if (write(c, "x", 1) == 1 && read(s, &x, 1) == 1 && x == 'x')
            echoed++;
        reset(c);
        MUST(close(s));
    }
    trace("connections that work: %d", echoed);
}

static void shut_listener(struct helper *h)
{
    MUST(shutdown(h->argument, SHUT_RD));
}
static void shut_listener_both(struct helper *h)
{
    MUST(shutdown(h->argument, SHUT_RDWR));
}

CASE(shutdown_wakes_a_blocked_accept)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    when_blocked(&h, shut_listener, l);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
    POLL(l);
    FD(accept(l, NULL, NULL));
    STATE(l);
    SOCKNAME(l);
}

CASE(shutdown_both_wakes_a_blocked_accept)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    when_blocked(&h, shut_listener_both, l);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
    POLL(l);
}

CASE(shutdown_for_writing_does_nothing_to_a_listener)
{
    struct addr server;
    int l = listener(&server);
    T(shutdown(l, SHUT_WR));
    POLL(l);
    STATE(l);
    int c = tcp4();
    T(connect(c, AT(server)));
    FD(accept(l, NULL, NULL));
}

CASE(shutdown_then_listen_again_on_a_port_that_was_asked_for)
{
    struct addr server = v4("127.0.0.1", free_port());
    int l = listener_at(&server, 4), waiting = connected_to(&server), c = tcp4();
    AWAIT_TRUE(poll_bits(l) & POLLIN);
    T(shutdown(l, SHUT_RD));
    AWAIT(waiting, POLLERR);
    T(connect(c, AT(server)));
    T(listen(l, 4));
    trace("the same port: %s", port_of(&server) == (server = local(l), port_of(&server)) ? "y" : "n");
    POLL(l);
    T(connect(c, AT(server)));
    FD(accept(l, NULL, NULL));
}

CASE(shutdown_then_listen_again_on_any_port)
{
    struct addr server, now;
    int l = listener(&server), c = tcp4();
    T(shutdown(l, SHUT_RD));
    now = local(l);
    trace("port %s", port_of(&now) ? "kept" : "given back");
    T(listen(l, 4));
    now = local(l);
    T(connect(c, AT(now)));
    FD(accept(l, NULL, NULL));
}

static void close_listener(struct helper *h)
{
    MUST(close(h->argument));
}

CASE(close_does_not_wake_a_blocked_accept_of_the_same_process)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    receive_timeout(l, 300);
    when_blocked(&h, close_listener, l);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
}

CASE(receive_timeout_of_the_listener)
{
    struct addr server;
    int l = listener(&server);
    receive_timeout(l, 100);
    long since = now_ms();
    FD(accept(l, NULL, NULL));
    trace_waited(since, 100);
}

CASE(two_threads_accept_and_each_gets_one)
{
    struct addr server;
    int l = listener(&server);
    pid_t child[2];
    for (int i = 0; i < 2; i++)
        if ((child[i] = fork()) == 0)
            _exit(accept(l, NULL, NULL) >= 0 ? 0 : 1);
    wait_blocked(child[0]);
    wait_blocked(child[1]);
    int c[] = { connected_to(&server), connected_to(&server) };
    REAP(child[0]);
    REAP(child[1]);
    AWAIT(c[0], POLLRDHUP);
    AWAIT(c[1], POLLRDHUP);
}

CASE(options_are_inherited)
{
    struct addr server;
    int l = listener(&server);
    struct linger lin = { 1, 7 }, got = { 0, 0 };
    struct timeval t = { 3, 0 }, have = { 0, 0 };
    SET(l, SOL_SOCKET, SO_KEEPALIVE, 1);
    SET(l, IPPROTO_TCP, TCP_NODELAY, 1);
    SET(l, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    SET(l, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
    SET(l, IPPROTO_TCP, TCP_LINGER2, 9);
    SET(l, SOL_SOCKET, SO_REUSEADDR, 1);
    SET(l, SOL_SOCKET, SO_OOBINLINE, 1);
    SET(l, SOL_SOCKET, SO_RCVLOWAT, 2);
    SET(l, IPPROTO_IP, IP_TOS, 0x10);
    SET(l, IPPROTO_IP, IP_TTL, 33);
    setsockopt(l, SOL_SOCKET, SO_LINGER, &lin, sizeof lin);
    setsockopt(l, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    connected_to(&server);
    int s = FD(accept(l, NULL, NULL));
    GET(s, SOL_SOCKET, SO_KEEPALIVE);
    GET(s, IPPROTO_TCP, TCP_NODELAY);
    GET(s, IPPROTO_TCP, TCP_KEEPIDLE);
    GET(s, IPPROTO_TCP, TCP_USER_TIMEOUT);
    GET(s, IPPROTO_TCP, TCP_LINGER2);
    GET(s, SOL_SOCKET, SO_REUSEADDR);
    GET(s, SOL_SOCKET, SO_OOBINLINE);
    GET(s, SOL_SOCKET, SO_RCVLOWAT);
    GET(s, IPPROTO_IP, IP_TOS);
    GET(s, IPPROTO_IP, IP_TTL);
    GET(s, SOL_SOCKET, SO_ACCEPTCONN);
    socklen_t len = sizeof got;
    getsockopt(s, SOL_SOCKET, SO_LINGER, &got, &len);
    trace("linger %d %d", got.l_onoff, got.l_linger);
    len = sizeof have;
    getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &have, &len);
    trace("send timeout %ld s", (long)have.tv_sec);
}

CASE(defer_accept_waits_for_data)
{
    struct addr server;
    int l = listener(&server);
    SET(l, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
    int c = connected_to(&server);
    SETTLE(l);
    MUST(write(c, "now", 3));
    AWAIT(l, POLLIN);
    int s = FD(accept(l, NULL, NULL));
    AWAIT_OCTETS(s, 3);
    READ(s, 8);
}
