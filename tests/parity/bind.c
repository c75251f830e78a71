/* bind(): who may have which address. A case is a holder and a pair of addresses; it tries every
 * combination of SO_REUSEADDR and SO_REUSEPORT on both. */
#include "trace.h"

/* ---- the conflict matrix ------------------------------------------------------------------------ */

enum { NONE = 0, ADDRESS = 1, PORT = 2 };
static const char *const option_names[] = { "none", "REUSEADDR", "REUSEPORT", "both" };

static void reuse(int fd, int options)
{
    if (options & ADDRESS)
        MUST(set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1));
    if (options & PORT)
        MUST(set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1));
}

/* "4:host", "6:host" or "6only:host" */
static int socket_for(const char *text, int port, struct addr *at)
{
    const char *host = strchr(text, ':') + 1;
    *at = text[0] == '4' ? v4(host, port) : v6(host, port);
    int fd = text[0] == '4' ? tcp4() : tcp6();
    if (text[0] == '6')
        MUST(set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, text[1] == 'o'));
    return fd;
}

/* Where a client reaches a holder that is bound to `at`. */
static struct addr reachable(struct addr at)
{
    if (at.sa.sa_family == AF_INET && at.v4.sin_addr.s_addr == INADDR_ANY)
        return v4("127.0.0.1", port_of(&at));
    if (at.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at.v6.sin6_addr))
        return v6("::1", port_of(&at));
    return at;
}

/* Each holder leaves something on `at` and returns descriptors to close afterwards. */
struct held {
    int fd[3];
};
static const struct held nothing = { { -1, -1, -1 } };

static struct held hold_bound(int fd, struct addr at)
{
    struct held h = { { fd, -1, -1 } };
    MUST(bind(fd, AT(at)));
    return h;
}

static struct held hold_listening(int fd, struct addr at)
{
    struct held h = hold_bound(fd, at);
    MUST(listen(fd, 4));
    return h;
}

/* An accepted connection whose listener is gone. */
static struct held hold_accepted(int fd, struct addr at)
{
    struct held h = hold_listening(fd, at);
    struct addr to = reachable(at);
    h.fd[1] = connected_to(&to);
    h.fd[2] = MUST(accept(fd, NULL, NULL));
    MUST(close(fd));
    h.fd[0] = -1;
    return h;
}

/* TIME-WAIT on the server's port: it has closed first. */
static struct held hold_time_wait(int fd, struct addr at)
{
    struct held h = hold_accepted(fd, at);
    MUST(shutdown(h.fd[2], SHUT_WR));
    AWAIT_TRUE(poll_bits(h.fd[1]) & POLLRDHUP);
    MUST(close(h.fd[1]));
    AWAIT_TRUE(poll_bits(h.fd[2]) & POLLHUP);
    MUST(close(h.fd[2]));
    return nothing;
}

/* An outgoing connection from the address. */
static struct held hold_connected(int fd, struct addr at)
{
    struct held h = hold_bound(fd, at);
    struct addr server = reachable(with_port(at, 0));
    h.fd[1] = listener_at(&server, 4);
    MUST(connect(fd, AT(server)));
    return h;
}

static const struct {
    const char *name;
    struct held (*hold)(int, struct addr);
} holders[] = {
    { "bound", hold_bound },         { "listening", hold_listening }, { "accepted", hold_accepted },
    { "time_wait", hold_time_wait }, { "connected", hold_connected },
};

static const struct {
    const char *name, *holder, *taker;
} addresses[] = {
    { "same_address", "4:127.0.0.1", "4:127.0.0.1" },
    { "other_address", "4:127.0.0.1", "4:127.0.0.2" },
    { "address_then_wildcard", "4:127.0.0.1", "4:0.0.0.0" },
    { "wildcard_then_address", "4:0.0.0.0", "4:127.0.0.1" },
    { "wildcards", "4:0.0.0.0", "4:0.0.0.0" },
    { "v6_same", "6:::1", "6:::1" },
    { "v6_then_v4", "6:::1", "4:127.0.0.1" },
    { "v4_wildcard_then_dual", "4:0.0.0.0", "6:::" },
    { "dual_then_v4_wildcard", "6:::", "4:0.0.0.0" },
    { "dual_then_v4_address", "6:::", "4:127.0.0.1" },
    { "v6only_then_v4_wildcard", "6only:::", "4:0.0.0.0" },
    { "v4_wildcard_then_v6only", "4:0.0.0.0", "6only:::" },
    { "mapped_then_v4", "6:::ffff:127.0.0.1", "4:127.0.0.1" },
    { "v4_then_mapped", "4:127.0.0.1", "6:::ffff:127.0.0.1" },
    { "v6_address_then_dual", "6:::1", "6:::" },
};

enum { ADDRESSES = sizeof addresses / sizeof *addresses, HOLDERS = sizeof holders / sizeof *holders };

static void conflict(int which)
{
    static const int combinations[][2] = {
        { NONE, NONE },    { NONE, ADDRESS }, { ADDRESS, NONE }, { ADDRESS, ADDRESS },
        { PORT, PORT },    { PORT, NONE },    { NONE, PORT },    { PORT, ADDRESS },
        { ADDRESS, PORT }, { ADDRESS | PORT, ADDRESS | PORT },
    };
    for (size_t i = 0; i < sizeof combinations / sizeof *combinations; i++) {
        struct addr at, wanted;
        int port = free_port();
        int holder = socket_for(addresses[which % ADDRESSES].holder, port, &at);
        int taker = socket_for(addresses[which % ADDRESSES].taker, port, &wanted);
        reuse(holder, combinations[i][0]);
        reuse(taker, combinations[i][1]);
        struct held h = holders[which / ADDRESSES].hold(holder, at);
        trace("[holder %s, taker %s]", option_names[combinations[i][0]],
              option_names[combinations[i][1]]);
        if (T(bind(taker, AT(wanted))) == 0)
            T(listen(taker, 4));
        close(taker);
        for (int k = 0; k < 3; k++)
            if (h.fd[k] >= 0)
                reset(h.fd[k]);
    }
}

__attribute__((constructor)) static void register_conflicts(void)
{
    for (int i = 0; i < ADDRESSES * HOLDERS; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s_%s", holders[i / ADDRESSES].name, addresses[i % ADDRESSES].name) > 0)
            trace_register(name, conflict, i);
    }
}

/* ---- single rules ------------------------------------------------------------------------------- */

CASE(twice)
{
    int fd = tcp4();
    struct addr any = v4("127.0.0.1", 0);
    T(bind(fd, AT(any)));
    T(bind(fd, AT(any)));
    SOCKNAME(fd);
}

CASE(address_of_nobody)
{
    int fd = tcp4();
    struct addr other = v4("192.0.2.1", 0), any = v4("127.0.0.1", 0);
    T(bind(fd, AT(other)));
    SOCKNAME(fd);
    NOTE("the socket is still good");
    T(bind(fd, AT(any)));
}

CASE(lengths_and_families)
{
    struct addr any = v4("127.0.0.1", 0), six = v6("::1", 0);
    int fd = tcp4(), fd6 = tcp6();
    T(bind(fd, &any.sa, 0));
    T(bind(fd, &any.sa, 15));
    T(bind(fd, &six.sa, sizeof six.v6));
    any.sa.sa_family = AF_UNIX;
    T(bind(fd, AT(any)));
    any.sa.sa_family = AF_UNSPEC;
    NOTE("AF_UNSPEC: taken for AF_INET with the wildcard only");
    T(bind(fd, AT(any)));
    any = v4("0.0.0.0", 0);
    any.sa.sa_family = AF_UNSPEC;
    T(bind(fd, AT(any)));
    any = v4("127.0.0.1", 0);
    T(bind(fd6, AT(any)));
    T(bind(fd6, &six.sa, 24));
    T(bind(fd6, &six.sa, 23));
    int longer = tcp4();
    any = v4("127.0.0.1", 0);
    T(bind(longer, &any.sa, sizeof any.ss));
    T(bind(tcp4(), &any.sa, sizeof any.ss + 1));
    T(bind(-1, AT(any)));
    T(bind(tcp4(), NULL, sizeof any.v4));
}

CASE(multicast_and_broadcast)
{
    struct addr multicast = v4("224.0.0.1", 0), broadcast = v4("255.255.255.255", 0);
    T(bind(tcp4(), AT(multicast)));
    T(bind(tcp4(), AT(broadcast)));
    struct addr six = v6("ff02::1", 0);
    T(bind(tcp6(), AT(six)));
}

CASE(any_port_differs_from_sockets_that_are_there)
{
    struct addr any = v4("127.0.0.1", 0);
    int fd[4];
    for (int i = 0; i < 4; i++) {
        fd[i] = tcp4();
        T(bind(fd[i], AT(any)));
        SOCKNAME(fd[i]);
    }
}

CASE(any_port_and_connect_port_parity)
{
    int even = 0, odd = 0;
    struct addr any = v4("127.0.0.1", 0), server;
    listener(&server);
    for (int i = 0; i < 8; i++) {
        int fd = tcp4();
        MUST(bind(fd, AT(any)));
        struct addr a = local(fd);
        odd += port_of(&a) & 1;
        fd = connected_to(&server);
        a = local(fd);
        even += !(port_of(&a) & 1);
    }
    trace("bind odd %d, connect even %d", odd, even);
}

CASE(port_is_free_again_after_close)
{
    struct addr any = v4("127.0.0.1", 0);
    int fd = tcp4();
    MUST(bind(fd, AT(any)));
    struct addr a = local(fd);
    MUST(close(fd));
    fd = tcp4();
    T(bind(fd, AT(a)));
    SOCKNAME(fd);
}

CASE(port_of_a_closed_listener_is_free_again)
{
    struct addr a;
    int fd = listener(&a);
    MUST(close(fd));
    fd = tcp4();
    T(bind(fd, AT(a)));
    T(listen(fd, 1));
}

CASE(port_is_held_until_the_last_copy_is_closed)
{
    struct addr a;
    int fd = listener(&a), copy = MUST(dup(fd)), other = tcp4();
    MUST(close(fd));
    T(bind(other, AT(a)));
    MUST(close(copy));
    T(bind(other, AT(a)));
}

CASE(reuseaddr_set_after_the_listener_is_there)
{
    struct addr a = v4("127.0.0.1", free_port());
    int holder = tcp4(), taker = tcp4();
    reuse(holder, ADDRESS);
    reuse(taker, ADDRESS);
    T(bind(holder, AT(a)));
    T(bind(taker, AT(a)));
    T(listen(holder, 4));
    NOTE("both are bound, one listens");
    T(listen(taker, 4));
}

CASE(reuseaddr_taken_back_after_bind)
{
    struct addr a = v4("127.0.0.1", free_port());
    int holder = tcp4(), taker = tcp4();
    reuse(holder, ADDRESS);
    T(bind(holder, AT(a)));
    SET(holder, SOL_SOCKET, SO_REUSEADDR, 0);
    reuse(taker, ADDRESS);
    T(bind(taker, AT(a)));
}

CASE(reuseport_listeners_share_the_connections)
{
    struct addr a = v4("127.0.0.1", free_port());
    int one = tcp4(), two = tcp4(), got = 0;
    reuse(one, PORT);
    reuse(two, PORT);
    T(bind(one, AT(a)));
    T(bind(two, AT(a)));
    T(listen(one, 64));
    T(listen(two, 64));
    nonblocking(one);
    nonblocking(two);
    for (int i = 0; i < 20; i++)
        connected_to(&a);
    int first = 0, second = 0;
    long end = now_ms() + DEADLINE_MS;
    while (got < 20 && now_ms() < end) {
        int before = got;
        if (accept(one, NULL, NULL) >= 0)
            got++, first++;
        if (accept(two, NULL, NULL) >= 0)
            got++, second++;
        if (got == before)
            pause_ms(2);
    }
    trace("accepted %d, both took some: %s", got, first && second ? "yes" : "no");
}

CASE(wildcard_listener_and_address_listener_the_nearer_wins)
{
    int port = free_port();
    struct addr any = v4("0.0.0.0", port), near = v4("127.0.0.2", port);
    int far = tcp4(), close_by = tcp4();
    reuse(far, PORT);
    reuse(close_by, PORT);
    MUST(bind(far, AT(any)));
    MUST(bind(close_by, AT(near)));
    MUST(listen(far, 4));
    MUST(listen(close_by, 4));
    connected_to(&near);
    AWAIT(close_by, POLLIN);
    SETTLE(far);
}

CASE(outgoing_from_a_time_wait_port)
{
    int port = free_port();
    struct addr from = v4("127.0.0.1", port), server;
    int l = listener(&server), c = tcp4(), again = tcp4(), reusing = tcp4();
    reuse(c, ADDRESS);
    MUST(bind(c, AT(from)));
    MUST(connect(c, AT(server)));
    int s = MUST(accept(l, NULL, NULL));
    MUST(shutdown(c, SHUT_WR));
    AWAIT_TRUE(poll_bits(s) & POLLRDHUP);
    MUST(close(s));
    AWAIT_TRUE(poll_bits(c) & POLLHUP);
    MUST(close(c));
    NOTE("the client has closed first: TIME-WAIT on its fixed port");
    T(bind(again, AT(from)));
    reuse(reusing, ADDRESS);
    T(bind(reusing, AT(from)));
}

CASE(restart_of_a_server_that_closed_first)
{
    for (int with = 0; with < 4; with++) {
        struct addr at = v4("127.0.0.1", free_port());
        int old = tcp4(), new = tcp4();
        reuse(old, with & 1 ? ADDRESS : NONE);
        hold_time_wait(old, at);
        reuse(new, with & 2 ? ADDRESS : NONE);
        trace("[old %s, new %s]", with & 1 ? "REUSEADDR" : "none", with & 2 ? "REUSEADDR" : "none");
        if (T(bind(new, AT(at))) == 0 && T(listen(new, 4)) == 0) {
            int c = connected_to(&at);
            int s = FD(accept(new, NULL, NULL));
            MUST(write(s, "hello", 5));
            AWAIT_OCTETS(c, 5);
            READ(c, 16);
        }
        close(new);
    }
}

CASE(no_time_wait_for_the_side_that_closed_second)
{
    int port = free_port();
    struct addr at = v4("127.0.0.1", port);
    int l = tcp4();
    MUST(bind(l, AT(at)));
    MUST(listen(l, 4));
    int c = connected_to(&at), s = MUST(accept(l, NULL, NULL));
    MUST(close(l));
    MUST(shutdown(c, SHUT_WR));
    AWAIT_TRUE(poll_bits(s) & POLLRDHUP);
    MUST(close(s));
    AWAIT_TRUE(poll_bits(c) & POLLHUP);
    MUST(close(c));
    int again = tcp4();
    T(bind(again, AT(at)));
}

CASE(no_time_wait_after_a_reset)
{
    int port = free_port();
    struct addr at = v4("127.0.0.1", port);
    int l = tcp4();
    MUST(bind(l, AT(at)));
    MUST(listen(l, 4));
    int c = connected_to(&at), s = MUST(accept(l, NULL, NULL));
    MUST(close(l));
    reset(s);
    AWAIT(c, POLLERR);
    int again = tcp4();
    T(bind(again, AT(at)));
}

CASE(bind_address_no_port_defers_the_port)
{
    struct addr from = v4("127.0.0.1", 0), server;
    int l = listener(&server), c = tcp4();
    SET(c, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    T(bind(c, AT(from)));
    SOCKNAME(c);
    T(connect(c, AT(server)));
    trace("a port now: %s", get_int(l, SOL_SOCKET, SO_TYPE) == SOCK_STREAM ? "yes" : "no");
    SOCKNAME(c);
}
