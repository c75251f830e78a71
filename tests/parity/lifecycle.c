/*
 * Every call in every state of a socket's life. A case is a state and a family of calls; each call
 * of the family gets a socket of its own in that state.
 */
#include "trace.h"

/* The socket under test, what is at the other end of it, and who else must stay alive. */
struct subject {
    int fd, peer, listener;
    struct addr server;
    int blocking;
};

/* Blocking sockets have a receive timeout, so that no call blocks for ever. */
static void prepare(struct subject *s, int fd)
{
    s->fd = fd;
    if (s->blocking)
        receive_timeout(fd, 50);
    else
        nonblocking(fd);
}

static void established(struct subject *s)
{
    struct pair p = tcp_pair();
    s->peer = p.s;
    s->listener = p.l;
    s->server = p.server;
    prepare(s, p.c);
}

static void fresh(struct subject *s)
{
    s->listener = listener(&s->server);
    prepare(s, tcp4());
}

static void bound(struct subject *s)
{
    struct addr any = v4("127.0.0.1", 0);
    fresh(s);
    MUST(bind(s->fd, AT(any)));
}

static void listening(struct subject *s)
{
    bound(s);
    MUST(listen(s->fd, 4));
}

static void listener_shut(struct subject *s)
{
    listening(s);
    MUST(shutdown(s->fd, SHUT_RD));
}

static void connecting(struct subject *s)
{
    s->listener = deaf_listener(&s->server);
    prepare(s, tcp4());
    connect(s->fd, AT(s->server));
}

/* Refused, and the error not yet collected where the socket is non-blocking. */
static void refused(struct subject *s)
{
    struct addr none = nobody();
    fresh(s);
    connect(s->fd, AT(none));
    AWAIT_TRUE(poll_bits(s->fd) & POLLHUP);
}

static void refused_and_told(struct subject *s)
{
    refused(s);
    get_int(s->fd, SOL_SOCKET, SO_ERROR);
}

static void accepted(struct subject *s)
{
    struct pair p = tcp_pair();
    s->peer = p.c;
    s->listener = p.l;
    s->server = p.server;
    prepare(s, p.s);
}

static void with_data(struct subject *s)
{
    established(s);
    MUST(write(s->peer, "abcdef", 6));
    AWAIT_OCTETS(s->fd, 6);
}

static void peer_half_closed(struct subject *s)
{
    established(s);
    MUST(write(s->peer, "tail", 4));
    MUST(shutdown(s->peer, SHUT_WR));
    AWAIT_TRUE(poll_bits(s->fd) & POLLRDHUP);
    AWAIT_OCTETS(s->fd, 4);
}

static void self_half_closed(struct subject *s)
{
    established(s);
    MUST(shutdown(s->fd, SHUT_WR));
    AWAIT_TRUE(poll_bits(s->peer) & POLLRDHUP);
    AWAIT_TRUE(strcmp(tcp_state(s->fd), "FIN-WAIT-2") == 0);
}

static void self_deaf(struct subject *s)
{
    established(s);
    MUST(shutdown(s->fd, SHUT_RD));
}

static void both_half_closed(struct subject *s)
{
    self_half_closed(s);
    MUST(shutdown(s->peer, SHUT_WR));
    AWAIT_TRUE(poll_bits(s->fd) & POLLHUP);
}

static void peer_closed(struct subject *s)
{
    established(s);
    MUST(close(s->peer));
    AWAIT_TRUE(poll_bits(s->fd) & POLLRDHUP);
}

/* The peer has closed, we wrote nevertheless, and its RST has come. */
static void wrote_after_close(struct subject *s)
{
    peer_closed(s);
    MUST(write(s->fd, "x", 1));
    AWAIT_TRUE(poll_bits(s->fd) & POLLERR);
}

static void reset_by_peer(struct subject *s)
{
    established(s);
    reset(s->peer);
    AWAIT_TRUE(poll_bits(s->fd) & POLLERR);
}

static void reset_with_data(struct subject *s)
{
    with_data(s);
    reset(s->peer);
    AWAIT_TRUE(poll_bits(s->fd) & POLLERR);
}

static void disconnected(struct subject *s)
{
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
    established(s);
    MUST(connect(s->fd, &unspecified, sizeof unspecified));
}

static void closed(struct subject *s)
{
    established(s);
    MUST(close(s->fd));
}

static const struct {
    const char *name;
    void (*make)(struct subject *);
} states[] = {
    { "fresh", fresh },
    { "bound", bound },
    { "listening", listening },
    { "listener_shut", listener_shut },
    { "connecting", connecting },
    { "refused", refused },
    { "refused_and_told", refused_and_told },
    { "established", established },
    { "accepted", accepted },
    { "with_data", with_data },
    { "peer_half_closed", peer_half_closed },
    { "self_half_closed", self_half_closed },
    { "self_deaf", self_deaf },
    { "both_half_closed", both_half_closed },
    { "peer_closed", peer_closed },
    { "wrote_after_close", wrote_after_close },
    { "reset_by_peer", reset_by_peer },
    { "reset_with_data", reset_with_data },
    { "disconnected", disconnected },
    { "closed", closed },
};

static void (*make)(struct subject *);
static int blocking;

/* A new socket in the state of the case. */
static struct subject subject(const char *before)
{
    struct subject s = { .peer = -1, .blocking = blocking };
    make(&s);
    seen_signal = 0;
    trace("[%s]", before);
    return s;
}
#define FRESH_FOR(what) (s = subject(what))

/* ---- families of calls ------------------------------------------------------------------------ */

static void receive(void)
{
    struct subject s;
    char a[3], b[8];
    struct iovec parts[] = { { a, sizeof a }, { b, sizeof b } };
    FRESH_FOR("read");
    READ(s.fd, 16);
    READ(s.fd, 16);
    READ(s.fd, 16);
    POLL(s.fd);
    FRESH_FOR("read of nothing");
    READ(s.fd, 0);
    FRESH_FOR("recv");
    RECV(s.fd, 16, MSG_PEEK);
    RECV(s.fd, 16, MSG_DONTWAIT);
    RECV(s.fd, 16, MSG_DONTWAIT);
    FRESH_FOR("recv of nothing");
    RECV(s.fd, 0, 0);
    FRESH_FOR("readv");
    T(readv(s.fd, parts, 2));
    FRESH_FOR("recvfrom");
    struct addr from = { .len = sizeof from.ss };
    T(recvfrom(s.fd, b, sizeof b, MSG_DONTWAIT, &from.sa, &from.len));
    trace("from length %u", from.len);
    FRESH_FOR("recv MSG_OOB");
    RECV(s.fd, 1, MSG_OOB);
}

static void transmit(void)
{
    struct subject s;
    struct iovec parts[] = { { "ab", 2 }, { "c", 1 } };
    FRESH_FOR("write");
    WRITE(s.fd, "hello");
    SETTLE(s.fd);
    WRITE(s.fd, "again");
    SETTLE(s.fd);
    FRESH_FOR("write of nothing");
    WRITE(s.fd, "");
    FRESH_FOR("send");
    SEND(s.fd, "hello", MSG_NOSIGNAL);
    SETTLE(s.fd);
    SEND(s.fd, "again", MSG_NOSIGNAL);
    FRESH_FOR("send of nothing");
    SEND(s.fd, "", MSG_NOSIGNAL);
    FRESH_FOR("writev");
    T(writev(s.fd, parts, 2));
    FRESH_FOR("sendto");
    T(sendto(s.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT, AT(s.server)));
}

static void reconnect(void)
{
    struct subject s;
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
    FRESH_FOR("connect");
    T(connect(s.fd, AT(s.server)));
    SETTLE(s.fd);
    T(connect(s.fd, AT(s.server)));
    SOERR(s.fd);
    FRESH_FOR("connect AF_UNSPEC");
    T(connect(s.fd, &unspecified, sizeof unspecified));
    SETTLE(s.fd);
    PEERNAME(s.fd);
    T(connect(s.fd, AT(s.server)));
    SETTLE(s.fd);
    FRESH_FOR("connect where nobody listens");
    struct addr none = nobody();
    T(connect(s.fd, AT(none)));
    SETTLE(s.fd);
    T(connect(s.fd, AT(none)));
    SETTLE(s.fd);
}

static void serve(void)
{
    struct subject s;
    struct addr any = v4("127.0.0.1", 0);
    struct addr from = { .len = sizeof from.ss };
    FRESH_FOR("bind");
    T(bind(s.fd, AT(any)));
    FRESH_FOR("listen");
    T(listen(s.fd, 4));
    SETTLE(s.fd);
    GET(s.fd, SOL_SOCKET, SO_ACCEPTCONN);
    T(listen(s.fd, 8));
    T(bind(s.fd, AT(any)));
    FRESH_FOR("accept");
    FD(accept(s.fd, NULL, NULL));
    FRESH_FOR("accept4");
    FD(accept4(s.fd, &from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC));
    trace("from length %u", from.len);
}

static void shut(int how, const char *name)
{
    struct subject s;
    FRESH_FOR(name);
    T(shutdown(s.fd, how));
    SETTLE(s.fd);
    STATE(s.fd);
    READ(s.fd, 16);
    READ(s.fd, 16);
    WRITE(s.fd, "x");
    T(shutdown(s.fd, how));
    SETTLE(s.fd);
    if (s.peer >= 0)
        SETTLE(s.peer);
}

static void shut_down(void)
{
    struct subject s;
    shut(SHUT_RD, "shutdown SHUT_RD");
    shut(SHUT_WR, "shutdown SHUT_WR");
    shut(SHUT_RDWR, "shutdown SHUT_RDWR");
    FRESH_FOR("shutdown of nothing known");
    T(shutdown(s.fd, 3));
}

static void ask(void)
{
    struct subject s;
    FRESH_FOR("names");
    NAMES(s.fd);
    FRESH_FOR("SO_ERROR");
    SOERR(s.fd);
    SOERR(s.fd);
    POLL(s.fd);
    FRESH_FOR("options");
    STATE(s.fd);
    GET(s.fd, SOL_SOCKET, SO_ACCEPTCONN);
    GET(s.fd, SOL_SOCKET, SO_TYPE);
    GET(s.fd, SOL_SOCKET, SO_DOMAIN);
    GET(s.fd, SOL_SOCKET, SO_PROTOCOL);
    IOCTL(s.fd, FIONREAD);
    /* Without a connection the kernel answers with what is left in unused fields. */
    if (strcmp(tcp_state(s.fd), "CLOSE") != 0)
        IOCTL(s.fd, SIOCOUTQ);
    IOCTL(s.fd, SIOCATMARK);
}

static void ready(void)
{
    struct subject s;
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };
    FRESH_FOR("poll");
    POLL(s.fd);
    struct pollfd nothing = { .fd = s.fd };
    T(poll(&nothing, 1, 0));
    trace("without asking: %s", bit_names(nothing.revents));
    FRESH_FOR("select");
    fd_set r, w, x;
    FD_ZERO(&r);
    FD_SET(s.fd, &r);
    w = x = r;
    struct timeval at_once = { 0, 0 };
    if (T(select(s.fd + 1, &r, &w, &x, &at_once)) >= 0)
        trace("select: read %d write %d except %d", !!FD_ISSET(s.fd, &r), !!FD_ISSET(s.fd, &w),
              !!FD_ISSET(s.fd, &x));
    FRESH_FOR("epoll");
    int ep = MUST(epoll_create1(0));
    if (T(epoll_ctl(ep, EPOLL_CTL_ADD, s.fd, &e)) == 0) {
        e.events = 0;
        T(epoll_wait(ep, &e, 1, 0));
        trace("epoll: %s", bit_names(e.events));
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} families[] = {
    { "receive", receive },     { "transmit", transmit }, { "reconnect", reconnect }, { "serve", serve },
    { "shut_down", shut_down }, { "ask", ask },           { "ready", ready },
};

enum { STATES = sizeof states / sizeof *states, FAMILIES = sizeof families / sizeof *families };

static void run(int which)
{
    blocking = which >= STATES * FAMILIES;
    which %= STATES * FAMILIES;
    make = states[which / FAMILIES].make;
    families[which % FAMILIES].run();
}

__attribute__((constructor)) static void register_all(void)
{
    for (int mode = 0; mode < 2; mode++)
        for (int i = 0; i < STATES * FAMILIES; i++) {
            const char *state = states[i / FAMILIES].name, *family = families[i % FAMILIES].name;
            /* Whether a socket blocks matters to these only, and a blocking connect() has no
             * state "connecting" that could be looked at. */
            int matters = families[i % FAMILIES].run == receive ||
                          families[i % FAMILIES].run == transmit ||
                          families[i % FAMILIES].run == reconnect;
            if (mode && (!matters || states[i / FAMILIES].make == connecting))
                continue;
            char *name = NULL;
            if (asprintf(&name, "%s_%s%s", state, family, mode ? "_blocking" : "") > 0)
                trace_register(name, run, i + mode * STATES * FAMILIES);
        }
}
