/* poll, select and epoll: what is reported, and when an edge comes. */
#include "trace.h"

#define ET_ALL (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

static int epoll_on(int fd, unsigned events)
{
    struct epoll_event e = { .events = events };
    int ep = MUST(epoll_create1(EPOLL_CLOEXEC));
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
    return ep;
}

/* The event that is there now, without waiting. */
static unsigned event_now(int ep)
{
    struct epoll_event e = { 0 };
    return epoll_wait(ep, &e, 1, 0) == 1 ? e.events : 0;
}

/* Collects edges until they include `wanted`, then prints them: how many edges it takes to say the
 * same is not a promise of the kernel. */
static void edges(const char *ep_name, int ep, unsigned wanted)
{
    unsigned seen = 0;
    long end = now_ms() + DEADLINE_MS;
    while ((seen & wanted) != wanted && now_ms() < end) {
        struct epoll_event e = { 0 };
        if (epoll_wait(ep, &e, 1, 20) == 1)
            seen |= e.events;
    }
    trace("edges(%s) = %s", ep_name, bit_names(seen));
}
#define EDGES(ep, wanted) edges(#ep, ep, wanted)
/* Nothing more comes. */
#define NO_EDGE(ep)                                                                                \
    ({                                                                                             \
        struct epoll_event e_ = { 0 };                                                             \
        int n_ = epoll_wait(ep, &e_, 1, SETTLED_MS);                                               \
        trace("%s: %s", #ep, n_ ? bit_names(e_.events) : "no edge");                               \
    })

/* On the loopback the handshake is over when connect() returns, whatever it says. */
CASE(writable_at_once_after_a_connect_that_does_not_wait)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    POLL(fd);
    WRITE(fd, "x");
    T(connect(fd, AT(server)));
    T(connect(fd, AT(server)));
}

CASE(epoll_registered_before_connect)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    int ep = epoll_on(fd, ET_ALL);
    NOTE("a fresh socket reports OUT and HUP");
    EDGES(ep, EPOLLOUT | EPOLLHUP);
    NO_EDGE(ep);
    T(connect(fd, AT(server)));
    EDGES(ep, EPOLLOUT);
    NO_EDGE(ep);
    SOERR(fd);
}

CASE(epoll_registered_after_connect)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    int ep = epoll_on(fd, ET_ALL);
    EDGES(ep, EPOLLOUT);
    NO_EDGE(ep);
}

CASE(epoll_level_before_connect)
{
    struct addr server;
    int fd = tcp4();
    listener(&server);
    nonblocking(fd);
    int ep = epoll_on(fd, EPOLLOUT | EPOLLIN);
    trace("level: %s", bit_names(event_now(ep)));
    trace("level: %s", bit_names(event_now(ep)));
    T(connect(fd, AT(server)));
    AWAIT(fd, POLLOUT);
    trace("level: %s", bit_names(event_now(ep)));
    trace("level: %s", bit_names(event_now(ep)));
}

CASE(epoll_refused)
{
    struct addr none = nobody();
    int fd = tcp4();
    nonblocking(fd);
    int ep = epoll_on(fd, ET_ALL);
    EDGES(ep, EPOLLOUT | EPOLLHUP);
    T(connect(fd, AT(none)));
    EDGES(ep, EPOLLERR | EPOLLHUP);
    SOERR(fd);
    NO_EDGE(ep);
}

CASE(epoll_connecting_stays_silent)
{
    struct addr server;
    int fd = tcp4(), l = deaf_listener(&server);
    nonblocking(fd);
    T(connect(fd, AT(server)));
    int ep = epoll_on(fd, ET_ALL);
    NO_EDGE(ep);
    FD(accept(l, NULL, NULL));
    EDGES(ep, EPOLLOUT);
}

CASE(epoll_listener)
{
    struct addr server;
    int l = listener(&server);
    nonblocking(l);
    int ep = epoll_on(l, ET_ALL);
    NO_EDGE(ep);
    connected_to(&server);
    EDGES(ep, EPOLLIN);
    NO_EDGE(ep);
    NOTE("a second connection is a new edge, though the first is not accepted");
    connected_to(&server);
    EDGES(ep, EPOLLIN);
    FD(accept(l, NULL, NULL));
    FD(accept(l, NULL, NULL));
    FD(accept(l, NULL, NULL));
    NO_EDGE(ep);
    T(shutdown(l, SHUT_RD));
    EDGES(ep, EPOLLHUP);
}

CASE(epoll_data_fin_edges)
{
    struct pair p = tcp_pair();
    int ep = epoll_on(p.s, ET_ALL);
    EDGES(ep, EPOLLOUT);
    T(write(p.c, "abc", 3));
    EDGES(ep, EPOLLIN);
    NO_EDGE(ep);
    NOTE("more data is a new edge, though the old is not read");
    T(write(p.c, "def", 3));
    EDGES(ep, EPOLLIN);
    AWAIT_OCTETS(p.s, 6);
    READ(p.s, 4);
    NO_EDGE(ep);
    T(shutdown(p.c, SHUT_WR));
    EDGES(ep, EPOLLIN | EPOLLRDHUP);
    READ(p.s, 16);
    READ(p.s, 16);
    NO_EDGE(ep);
}

CASE(epoll_reset_edge)
{
    struct pair p = tcp_pair();
    int ep = epoll_on(p.s, ET_ALL);
    EDGES(ep, EPOLLOUT);
    reset(p.c);
    EDGES(ep, EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
    READ(p.s, 16);
    READ(p.s, 16);
}

CASE(epoll_both_fins_edge)
{
    struct pair p = tcp_pair();
    int ep = epoll_on(p.s, ET_ALL);
    EDGES(ep, EPOLLOUT);
    T(shutdown(p.s, SHUT_WR));
    AWAIT(p.c, POLLRDHUP);
    T(shutdown(p.c, SHUT_WR));
    EDGES(ep, EPOLLIN | EPOLLHUP | EPOLLRDHUP);
}

CASE(epoll_writable_again)
{
    struct pair p = tcp_pair();
    static char block[65536];
    long total = 0, n;
    nonblocking(p.c);
    nonblocking(p.s);
    int ep = epoll_on(p.c, EPOLLOUT | EPOLLET);
    EDGES(ep, EPOLLOUT);
    total = fill_up(p.c);
    while (event_now(ep))
        ;
    POLL(p.c);
    NOTE("the peer reads everything");
    long end = now_ms() + DEADLINE_MS;
    while (total > 0 && now_ms() < end)
        if ((n = read(p.s, block, sizeof block)) > 0)
            total -= n;
    trace("left %ld", total);
    EDGES(ep, EPOLLOUT);
}

CASE(epoll_oneshot_and_rearm)
{
    struct pair p = tcp_pair();
    struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };
    int ep = epoll_on(p.s, EPOLLIN | EPOLLONESHOT);
    T(write(p.c, "abc", 3));
    EDGES(ep, EPOLLIN);
    T(write(p.c, "def", 3));
    NO_EDGE(ep);
    T(epoll_ctl(ep, EPOLL_CTL_MOD, p.s, &e));
    EDGES(ep, EPOLLIN);
}

CASE(epoll_exclusive_and_errors)
{
    struct pair p = tcp_pair();
    struct epoll_event e = { .events = EPOLLIN };
    int ep = epoll_on(p.s, EPOLLIN);
    T(epoll_ctl(ep, EPOLL_CTL_ADD, p.s, &e));
    T(epoll_ctl(ep, EPOLL_CTL_DEL, p.c, NULL));
    T(epoll_ctl(ep, EPOLL_CTL_MOD, p.c, &e));
    T(epoll_ctl(ep, EPOLL_CTL_DEL, p.s, NULL));
    e.events = EPOLLIN | EPOLLEXCLUSIVE;
    T(epoll_ctl(ep, EPOLL_CTL_ADD, p.s, &e));
}

CASE(epoll_forgets_a_closed_descriptor)
{
    struct pair p = tcp_pair();
    int ep = epoll_on(p.s, ET_ALL);
    EDGES(ep, EPOLLOUT);
    T(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    T(close(p.s));
    trace("event: %s", bit_names(event_now(ep)));
    struct pair q = tcp_pair();
    T(write(q.c, "abc", 3));
    AWAIT_OCTETS(q.s, 3);
    trace("event: %s", bit_names(event_now(ep)));
}

static void write_peer(struct helper *h)
{
    MUST(write(h->argument, "abc", 3));
}
static void close_peer(struct helper *h)
{
    MUST(close(h->argument));
}
static void connect_peer(struct helper *h)
{
    struct addr at = local(h->argument);
    MUST(connect(tcp4(), AT(at)));
}

CASE(blocked_poll_is_woken_by_data)
{
    struct pair p = tcp_pair();
    struct helper h;
    struct pollfd f = { .fd = p.s, .events = POLLIN };
    when_blocked(&h, write_peer, p.c);
    T(poll(&f, 1, DEADLINE_MS));
    helper_done(&h);
    trace("%s", bit_names(f.revents));
}

CASE(blocked_poll_is_woken_by_the_end)
{
    struct pair p = tcp_pair();
    struct helper h;
    struct pollfd f = { .fd = p.s, .events = POLLRDHUP };
    when_blocked(&h, close_peer, p.c);
    T(poll(&f, 1, DEADLINE_MS));
    helper_done(&h);
    trace("%s", bit_names(f.revents));
}

CASE(blocked_select_is_woken_by_a_connection)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    struct timeval limit = { DEADLINE_MS / 1000, 0 };
    fd_set r;
    FD_ZERO(&r);
    FD_SET(l, &r);
    when_blocked(&h, connect_peer, l);
    T(select(l + 1, &r, NULL, NULL, &limit));
    helper_done(&h);
}

CASE(blocked_epoll_is_woken_by_data)
{
    struct pair p = tcp_pair();
    struct helper h;
    struct epoll_event e = { 0 };
    int ep = epoll_on(p.s, EPOLLIN | EPOLLET);
    when_blocked(&h, write_peer, p.c);
    T(epoll_wait(ep, &e, 1, DEADLINE_MS));
    helper_done(&h);
    trace("%s", bit_names(e.events));
}

CASE(poll_band_bits)
{
    struct pair p = tcp_pair();
    struct pollfd f = { .fd = p.s, .events = POLLIN | POLLRDNORM | POLLRDBAND | POLLOUT | POLLWRNORM |
                                             POLLWRBAND | POLLRDHUP };
    poll(&f, 1, 0);
    trace("%s", bit_names((unsigned short)f.revents));
    T(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    poll(&f, 1, 0);
    trace("%s", bit_names((unsigned short)f.revents));
}

CASE(ppoll_pselect_epoll_pwait)
{
    struct pair p = tcp_pair();
    struct pollfd f = { .fd = p.s, .events = POLLIN };
    struct timespec at_once = { 0, 0 };
    struct epoll_event e = { 0 };
    sigset_t none;
    fd_set r;
    int ep = epoll_on(p.s, EPOLLIN);
    sigemptyset(&none);
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    T(ppoll(&f, 1, &at_once, &none));
    FD_ZERO(&r);
    FD_SET(p.s, &r);
    T(pselect(p.s + 1, &r, NULL, NULL, &at_once, &none));
    T(epoll_pwait(ep, &e, 1, 0, &none));
}

CASE(select_of_a_finished_connection)
{
    struct pair p = tcp_pair();
    struct timeval at_once = { 0, 0 };
    fd_set r, w, x;
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    FD_ZERO(&r);
    FD_SET(p.s, &r);
    w = x = r;
    T(select(p.s + 1, &r, &w, &x, &at_once));
    trace("%d %d %d", !!FD_ISSET(p.s, &r), !!FD_ISSET(p.s, &w), !!FD_ISSET(p.s, &x));
}

CASE(low_water_mark)
{
    struct pair p = tcp_pair();
    SET(p.s, SOL_SOCKET, SO_RCVLOWAT, 4);
    T(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    SETTLE(p.s);
    T(write(p.c, "d", 1));
    AWAIT(p.s, POLLIN);
    T(recv(p.s, (char[8]){ 0 }, 2, 0));
    SETTLE(p.s);
    T(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLIN | POLLRDHUP);
}

static volatile sig_atomic_t io_signals;
static void on_io(int number)
{
    (void)number;
    io_signals++;
}

CASE(sigio)
{
    struct pair p = tcp_pair();
    signal(SIGIO, on_io);
    T(fcntl(p.s, F_SETOWN, getpid()));
    T(fcntl(p.s, F_SETFL, fcntl(p.s, F_GETFL) | O_ASYNC));
    io_signals = 0;
    MUST(write(p.c, "abc", 3));
    AWAIT_TRUE(io_signals > 0);
    trace("SIGIO came: %s", io_signals ? "yes" : "no");
}
