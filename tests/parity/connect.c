/* connect(). */
#include "trace.h"

CASE(refused_blocking)
{
    struct addr none = nobody(), server;
    int fd = tcp4();
    listener(&server);
    T(connect(fd, AT(none)));
    SOERR(fd);
    POLL(fd);
    NOTE("the socket may try again");
    T(connect(fd, AT(none)));
    T(connect(fd, AT(server)));
    POLL(fd);
    PEERNAME(fd);
}

CASE(refused_nonblocking_told_by_so_error)
{
    struct addr none = nobody(), server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    SOERR(fd);
    POLL(fd);
    SOERR(fd);
    T(connect(fd, AT(server)));
    AWAIT(fd, POLLOUT);
    SETTLE(fd);
    SOERR(fd);
    T(connect(fd, AT(server)));
}

CASE(refused_nonblocking_told_by_connect)
{
    struct addr none = nobody();
    int fd = tcp4();
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    T(connect(fd, AT(none)));
    SETTLE(fd);
    T(connect(fd, AT(none)));
    SETTLE(fd);
}

CASE(refused_nonblocking_told_by_read)
{
    struct addr none = nobody();
    int fd = tcp4();
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    READ(fd, 16);
    POLL(fd);
    READ(fd, 16);
    SOERR(fd);
}

CASE(refused_nonblocking_told_by_write)
{
    struct addr none = nobody();
    int fd = tcp4();
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    WRITE(fd, "x");
    POLL(fd);
    WRITE(fd, "x");
    SOERR(fd);
}

CASE(established_nonblocking)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    AWAIT(fd, POLLOUT);
    SOERR(fd);
    T(connect(fd, AT(server)));
    STATE(fd);
    NAMES(fd);
    WRITE(fd, "hello");
}

CASE(second_connect_says_0_once)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    AWAIT(fd, POLLOUT);
    T(connect(fd, AT(server)));
    T(connect(fd, AT(server)));
}

CASE(already_connecting)
{
    struct addr server;
    int fd = tcp4();
    deaf_listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    T(connect(fd, AT(server)));
    POLL(fd);
    READ(fd, 16);
    WRITE(fd, "x");
    SOCKNAME(fd);
    PEERNAME(fd);
    STATE(fd);
    SOERR(fd);
    T(listen(fd, 4));
}

CASE(accepted_after_all_while_connecting)
{
    struct addr server;
    int fd = tcp4(), l = deaf_listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    SETTLE(fd);
    FD(accept(l, NULL, NULL));
    AWAIT(fd, POLLOUT);
    SOERR(fd);
    WRITE(fd, "x");
    int s = FD(accept(l, NULL, NULL));
    AWAIT_OCTETS(s, 1);
    READ(s, 4);
}

CASE(send_timeout_limits_connect)
{
    struct addr server;
    struct timeval t = { 0, 100000 };
    int fd = tcp4(), l = deaf_listener(&server);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    long since = now_ms();
    T(connect(fd, AT(server)));
    trace_waited(since, 100);
    STATE(fd);
    POLL(fd);
    T(connect(fd, AT(server)));
    NOTE("it goes on in the background");
    FD(accept(l, NULL, NULL));
    AWAIT(fd, POLLOUT);
    T(connect(fd, AT(server)));
    T(connect(fd, AT(server)));
}

static void interrupt(struct helper *h)
{
    pthread_kill(h->caller, SIGUSR1);
}

CASE(interrupted_connect_goes_on)
{
    struct addr server;
    struct helper h;
    int fd = tcp4(), l = deaf_listener(&server);
    on_signal(SIGUSR1, 0);
    when_blocked(&h, interrupt, 0);
    T(connect(fd, AT(server)));
    helper_done(&h);
    STATE(fd);
    POLL(fd);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    FD(accept(l, NULL, NULL));
    AWAIT(fd, POLLOUT);
    SOERR(fd);
    T(connect(fd, AT(server)));
    WRITE(fd, "x");
    int s = FD(accept(l, NULL, NULL));
    AWAIT_OCTETS(s, 1);
    READ(s, 4);
}

static void interrupt_and_accept(struct helper *h)
{
    int before = signal_count;
    pthread_kill(h->caller, SIGUSR1);
    AWAIT_TRUE(signal_count > before);
    wait_blocked(h->caller_tid);
    NOTE("blocked again");
    MUST(accept(h->argument, NULL, NULL));
}

CASE(interrupted_connect_is_restarted)
{
    struct addr server;
    struct helper h;
    int fd = tcp4(), l = deaf_listener(&server);
    on_signal(SIGUSR1, SA_RESTART);
    when_blocked(&h, interrupt_and_accept, l);
    T(connect(fd, AT(server)));
    helper_done(&h);
    STATE(fd);
}

CASE(interrupted_connect_then_connect_again_blocking)
{
    struct addr server;
    struct helper h;
    int fd = tcp4(), l = deaf_listener(&server);
    on_signal(SIGUSR1, 0);
    when_blocked(&h, interrupt, 0);
    T(connect(fd, AT(server)));
    helper_done(&h);
    NOTE("a second blocking connect() waits for the same connection");
    on_signal(SIGUSR1, SA_RESTART);
    when_blocked(&h, interrupt_and_accept, l);
    T(connect(fd, AT(server)));
    helper_done(&h);
    STATE(fd);
    T(connect(fd, AT(server)));
}

CASE(close_while_connecting)
{
    struct addr server;
    int fd = tcp4(), l = deaf_listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    T(close(fd));
    nonblocking(l);
    FD(accept(l, NULL, NULL));
    SETTLE(l);
    FD(accept(l, NULL, NULL));
}

CASE(bad_arguments)
{
    struct addr server, wrong, six = v6("::1", 1);
    listener(&server);
    wrong = server;
    wrong.sa.sa_family = AF_UNIX;
    T(connect(tcp4(), AT(wrong)));
    T(connect(tcp4(), AT(six)));
    T(connect(tcp6(), AT(server)));
    T(connect(tcp4(), &server.sa, 15));
    T(connect(tcp4(), &server.sa, 1));
    T(connect(tcp4(), &server.sa, 0));
    T(connect(tcp4(), &server.sa, -1));
    T(connect(tcp4(), NULL, sizeof server.v4));
    T(connect(tcp4(), &server.sa, sizeof server.ss));
    T(connect(-1, AT(server)));
    T(connect(1, AT(server)));
    T(connect(tcp6(), &six.sa, 23));
}

CASE(special_addresses)
{
    struct addr server, zero, broadcast = v4("255.255.255.255", 9), multicast = v4("224.0.0.1", 9);
    listener(&server);
    NOTE("0.0.0.0 means this machine");
    zero = v4("0.0.0.0", port_of(&server));
    int fd = tcp4();
    T(connect(fd, AT(zero)));
    PEERNAME(fd);
    T(connect(tcp4(), AT(broadcast)));
    T(connect(tcp4(), AT(multicast)));
    struct addr port_0 = v4("127.0.0.1", 0);
    T(connect(tcp4(), AT(port_0)));
}

CASE(other_loopback_address)
{
    struct addr at = v4("127.0.0.7", 0);
    int l = listener_at(&at, 4), c = connected_to(&at);
    NAMES(c);
    int s = FD(accept(l, NULL, NULL));
    NAMES(s);
    struct addr from = v4("127.0.0.9", 0);
    c = tcp4();
    T(bind(c, AT(from)));
    T(connect(c, AT(at)));
    NAMES(c);
}

CASE(nobody_at_this_address_but_at_another)
{
    struct addr at = v4("127.0.0.7", 0);
    listener_at(&at, 4);
    struct addr beside = v4("127.0.0.8", port_of(&at));
    T(connect(tcp4(), AT(beside)));
}

CASE(unspec_ends_a_connection)
{
    struct pair p = tcp_pair();
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
    T(connect(p.c, &unspecified, sizeof unspecified));
    NOTE("the peer gets a RST");
    AWAIT(p.s, POLLERR);
    READ(p.s, 16);
    READ(p.s, 16);
    POLL(p.c);
    NAMES(p.c);
    READ(p.c, 16);
    NOTE("and the socket can connect anew");
    T(connect(p.c, AT(p.server)));
    int s = FD(accept(p.l, NULL, NULL));
    T(write(p.c, "again", 5));
    AWAIT_OCTETS(s, 5);
    READ(s, 16);
}

CASE(unspec_keeps_a_bound_port)
{
    struct addr from = v4("127.0.0.1", free_port()), server;
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
    int l = listener(&server), c = tcp4();
    T(bind(c, AT(from)));
    T(connect(c, AT(server)));
    FD(accept(l, NULL, NULL));
    T(connect(c, &unspecified, sizeof unspecified));
    SOCKNAME(c);
    T(connect(c, AT(server)));
    NAMES(c);
}

CASE(unspec_on_fresh_and_listening)
{
    struct addr server;
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
    int fd = tcp4(), l = listener(&server);
    T(connect(fd, &unspecified, sizeof unspecified));
    POLL(fd);
    T(connect(l, &unspecified, sizeof unspecified));
    POLL(l);
    SOCKNAME(l);
    T(connect(fd, AT(server)));
    FD(accept(l, NULL, NULL));
}

CASE(to_itself)
{
    int port = free_port(), fd = tcp4();
    struct addr self = v4("127.0.0.1", port);
    T(bind(fd, AT(self)));
    T(connect(fd, AT(self)));
    POLL(fd);
    NAMES(fd);
    T(write(fd, "echo", 4));
    AWAIT_OCTETS(fd, 4);
    READ(fd, 16);
    T(shutdown(fd, SHUT_WR));
    AWAIT(fd, POLLRDHUP);
    READ(fd, 16);
    SETTLE(fd);
    WRITE(fd, "x");
}

CASE(to_itself_nonblocking)
{
    int port = free_port(), fd = tcp4();
    struct addr self = v4("127.0.0.1", port);
    nonblocking(fd);
    T(bind(fd, AT(self)));
    T(connect(fd, AT(self)));
    AWAIT(fd, POLLOUT);
    SOERR(fd);
    T(write(fd, "echo", 4));
    AWAIT_OCTETS(fd, 4);
    READ(fd, 16);
}

CASE(both_ends_at_once)
{
    int p = free_port(), q = free_port(), a = tcp4(), b = tcp4();
    while (p == q)
        q = free_port();
    struct addr at_p = v4("127.0.0.1", p), at_q = v4("127.0.0.1", q);
    MUST(bind(a, AT(at_p)));
    MUST(bind(b, AT(at_q)));
    T(connect(a, AT(at_q)));
    T(connect(b, AT(at_p)));
    NOTE("one after the other they are refused: nobody listens");
}

CASE(after_bind_keeps_the_address)
{
    struct addr from = v4("127.0.0.5", free_port()), server;
    int l = listener(&server), c = tcp4();
    T(bind(c, AT(from)));
    T(connect(c, AT(server)));
    SOCKNAME(c);
    struct addr seen = { .len = sizeof seen.ss };
    FD(accept(l, &seen.sa, &seen.len));
    trace("server sees %s", addr_text(&seen));
}

CASE(refused_after_bind_keeps_the_port)
{
    struct addr from = v4("127.0.0.1", free_port()), none = nobody(), server;
    int c = tcp4();
    listener(&server);
    T(bind(c, AT(from)));
    T(connect(c, AT(none)));
    SOCKNAME(c);
    T(connect(c, AT(server)));
    SOCKNAME(c);
}

CASE(refused_without_bind_forgets_the_address)
{
    struct addr none = nobody();
    int c = tcp4();
    T(connect(c, AT(none)));
    struct addr a = local(c);
    trace("port %s, address %s", port_of(&a) ? "kept" : "forgotten",
          a.v4.sin_addr.s_addr ? "kept" : "forgotten");
}

CASE(same_four_tuple_twice)
{
    struct addr from = v4("127.0.0.1", free_port()), server;
    int a = tcp4(), b = tcp4();
    listener(&server);
    MUST(set_int(a, SOL_SOCKET, SO_REUSEADDR, 1));
    MUST(set_int(b, SOL_SOCKET, SO_REUSEADDR, 1));
    T(bind(a, AT(from)));
    T(bind(b, AT(from)));
    T(connect(a, AT(server)));
    T(connect(b, AT(server)));
    struct addr other;
    listener(&other);
    NOTE("another destination is fine");
    T(connect(b, AT(other)));
}

CASE(client_port_locked_by_time_wait)
{
    struct addr from = v4("127.0.0.1", free_port()), server, other;
    int l = listener(&server), c = tcp4(), again = tcp4();
    listener(&other);
    MUST(set_int(c, SOL_SOCKET, SO_REUSEADDR, 1));
    MUST(bind(c, AT(from)));
    MUST(connect(c, AT(server)));
    int s = MUST(accept(l, NULL, NULL));
    MUST(shutdown(c, SHUT_WR));
    AWAIT_TRUE(poll_bits(s) & POLLRDHUP);
    MUST(close(s));
    AWAIT_TRUE(poll_bits(c) & POLLHUP);
    MUST(close(c));
    MUST(set_int(again, SOL_SOCKET, SO_REUSEADDR, 1));
    T(bind(again, AT(from)));
    NOTE("less than a second after the TIME-WAIT began");
    T(connect(again, AT(server)));
    T(connect(again, AT(other)));
}

CASE(socket_types_and_protocols)
{
    int fd = FD(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    GET(fd, SOL_SOCKET, SO_PROTOCOL);
    FD(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    FD(socket(AF_INET6, SOCK_STREAM, 0));
    FD(socket(AF_INET, SOCK_STREAM, 999));
    fd = FD(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    trace("O_NONBLOCK %d, FD_CLOEXEC %d", !!(fcntl(fd, F_GETFL) & O_NONBLOCK), fcntl(fd, F_GETFD));
    fd = FD(socket(AF_INET, SOCK_DGRAM, 0));
    GET(fd, SOL_SOCKET, SO_PROTOCOL);
    GET(fd, SOL_SOCKET, SO_TYPE);
    FD(socket(AF_INET, SOCK_STREAM | 0x100, 0));
    FD(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
    int pair[2];
    T(socketpair(AF_INET, SOCK_STREAM, 0, pair));
}

CASE(mptcp)
{
    int fd = FD(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
    GET(fd, SOL_SOCKET, SO_PROTOCOL);
}

CASE(fastopen_connect_and_sendto)
{
    struct addr server;
    int l = listener(&server), c = tcp4();
    NOTE("MSG_FASTOPEN without a cookie connects, then sends");
    T(sendto(c, "early", 5, MSG_FASTOPEN, AT(server)));
    AWAIT(c, POLLOUT);
    int s = FD(accept(l, NULL, NULL));
    AWAIT_OCTETS(s, 5);
    READ(s, 16);
}

CASE(udp_and_unix_sockets_are_untouched)
{
    struct addr any = v4("127.0.0.1", 0);
    int a = MUST(socket(AF_INET, SOCK_DGRAM, 0)), b = MUST(socket(AF_INET, SOCK_DGRAM, 0)), pair[2];
    T(bind(a, AT(any)));
    any = local(a);
    T(connect(b, AT(any)));
    T(send(b, "datagram", 8, 0));
    AWAIT(a, POLLIN);
    READ(a, 32);
    NAMES(b);
    T(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SOCKNAME(pair[0]);
    WRITE(pair[0], "pair");
    READ(pair[1], 16);
    GET(pair[0], SOL_SOCKET, SO_DOMAIN);
}

static void end_writing(struct helper *h) { MUST(shutdown(h->argument, SHUT_WR)); }
static void end_both(struct helper *h) { MUST(shutdown(h->argument, SHUT_RDWR)); }
static void disconnect(struct helper *h)
{
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    MUST(connect(h->argument, &none, sizeof none));
}

static void end_while_it_connects(void (*end)(struct helper *))
{
    struct addr server;
    struct helper h;
    deaf_listener(&server);
    int c = tcp4();
    when_blocked(&h, end, c);
    T(connect(c, AT(server)));
    helper_done(&h);
    NAMES(c);
    SOERR(c);
    STATE(c);
}

CASE(blocked_and_own_shutdown) { end_while_it_connects(end_both); }
CASE(blocked_and_own_end_of_writing) { end_while_it_connects(end_writing); }
CASE(blocked_and_undone_by_unspec) { end_while_it_connects(disconnect); }

static int crowded;

static void close_and_make_room(struct helper *h)
{
    MUST(close(h->argument));
    close(MUST(accept(crowded, NULL, NULL)));
}

CASE(blocked_and_closed_by_another_thread)
{
    struct addr server;
    struct helper h;
    crowded = deaf_listener(&server);
    int c = tcp4();
    when_blocked(&h, close_and_make_room, c);
    NOTE("the call holds the socket until it is over");
    T(connect(c, AT(server)));
    helper_done(&h);
    NAMES(c);
    int s = FD(accept(crowded, NULL, NULL));
    AWAIT(s, POLLRDHUP);
    READ(s, 8);
}

static void shut_before_connect(int how)
{
    struct addr server;
    int l = listener(&server), c = tcp4();
    T(shutdown(c, how));
    POLL(c);
    READ(c, 8);
    T(connect(c, AT(server)));
    int s = FD(accept(l, NULL, NULL));
    T(write(s, "there", 5));
    AWAIT_OCTETS(c, 5);
    READ(c, 8);
}

CASE(shut_for_reading_before_connect) { shut_before_connect(SHUT_RD); }
CASE(shut_for_both_before_connect) { shut_before_connect(SHUT_RDWR); }

CASE(shut_for_writing_before_connect)
{
    struct addr server;
    int c = tcp4();
    listener(&server);
    T(shutdown(c, SHUT_WR));
    POLL(c);
    T(connect(c, AT(server)));
    NOTE("TCP remembers that it writes no more");
    SEND(c, "x", MSG_NOSIGNAL);
}
