/* FIN and RST as the program sees them, call by call (S26), and what close() does to the peer. */
#include "trace.h"

CASE(read_is_0_again_and_again)
{
    struct pair p = tcp_pair();
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    for (int i = 0; i < 3; i++)
        READ(p.s, 16);
    POLL(p.s);
    RECV(p.s, 16, MSG_PEEK);
    RECV(p.s, 16, MSG_WAITALL);
    STATE(p.s);
}

CASE(data_then_eof)
{
    struct pair p = tcp_pair();
    T(write(p.c, "last words", 10));
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    AWAIT_OCTETS(p.s, 10);
    IOCTL(p.s, FIONREAD);
    READ(p.s, 4);
    READ(p.s, 16);
    READ(p.s, 16);
    IOCTL(p.s, FIONREAD);
}

CASE(half_close_leaves_the_other_direction)
{
    struct pair p = tcp_pair();
    T(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    READ(p.s, 16);
    WRITE(p.s, "still");
    WRITE(p.s, " here");
    AWAIT_OCTETS(p.c, 10);
    READ(p.c, 16);
    POLL(p.c);
    WRITE(p.c, "x");
    STATE(p.c);
    STATE(p.s);
    T(close(p.s));
    AWAIT(p.c, POLLHUP);
    READ(p.c, 16);
    READ(p.c, 16);
    STATE(p.c);
}

CASE(write_after_the_peer_closed)
{
    struct pair p = tcp_pair();
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    NOTE("the first write() succeeds and is answered by RST");
    WRITE(p.s, "x");
    AWAIT(p.s, POLLERR | POLLHUP);
    NOTE("the second fails");
    WRITE(p.s, "x");
    POLL(p.s);
    WRITE(p.s, "x");
    READ(p.s, 16);
    SOERR(p.s);
}

CASE(write_after_the_peer_closed_then_so_error)
{
    struct pair p = tcp_pair();
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    WRITE(p.s, "x");
    AWAIT(p.s, POLLERR | POLLHUP);
    SOERR(p.s);
    SOERR(p.s);
    POLL(p.s);
    READ(p.s, 16);
    SEND(p.s, "x", MSG_NOSIGNAL);
}

CASE(write_after_the_peer_closed_then_read)
{
    struct pair p = tcp_pair();
    T(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    WRITE(p.s, "x");
    AWAIT(p.s, POLLERR | POLLHUP);
    READ(p.s, 16);
    READ(p.s, 16);
    POLL(p.s);
    NAMES(p.s);
    STATE(p.s);
}

CASE(reset_queued_data_then_error_once_then_0)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "queued", 6));
    AWAIT_OCTETS(p.s, 6);
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    READ(p.s, 4);
    READ(p.s, 16);
    READ(p.s, 16);
    READ(p.s, 16);
    READ(p.s, 16);
    POLL(p.s);
}

CASE(reset_told_by_so_error)
{
    struct pair p = tcp_pair();
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    SOERR(p.s);
    SOERR(p.s);
    READ(p.s, 16);
    WRITE(p.s, "x");
    POLL(p.s);
}

CASE(reset_told_by_write)
{
    struct pair p = tcp_pair();
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    WRITE(p.s, "x");
    POLL(p.s);
    WRITE(p.s, "x");
    SEND(p.s, "x", MSG_NOSIGNAL);
    READ(p.s, 16);
    SOERR(p.s);
}

CASE(reset_told_by_send_nosignal)
{
    struct pair p = tcp_pair();
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    SEND(p.s, "x", MSG_NOSIGNAL);
    SEND(p.s, "x", MSG_NOSIGNAL);
    READ(p.s, 16);
}

CASE(reset_peek_does_not_take_the_error)
{
    struct pair p = tcp_pair();
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    RECV(p.s, 16, MSG_PEEK);
    RECV(p.s, 16, MSG_PEEK);
    READ(p.s, 16);
}

CASE(reset_told_to_a_shared_socket_once)
{
    struct pair p = tcp_pair();
    int copy = MUST(dup(p.s));
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    READ(p.s, 16);
    READ(copy, 16);
}

CASE(reset_names_and_shutdown)
{
    struct pair p = tcp_pair();
    reset(p.c);
    AWAIT(p.s, POLLERR | POLLHUP);
    SOCKNAME(p.s);
    PEERNAME(p.s);
    STATE(p.s);
    T(shutdown(p.s, SHUT_WR));
    T(shutdown(p.s, SHUT_RD));
    READ(p.s, 16);
    T(connect(p.s, AT(p.server)));
}

CASE(reset_then_connect_anew)
{
    struct pair p = tcp_pair();
    reset(p.s);
    AWAIT(p.c, POLLERR | POLLHUP);
    SOERR(p.c);
    T(connect(p.c, AT(p.server)));
    POLL(p.c);
    T(connect(p.c, AT(p.server)));
}

static void reset_peer(struct helper *h)
{
    reset(h->argument);
}
static void close_peer(struct helper *h)
{
    MUST(close(h->argument));
}

CASE(blocked_read_and_reset)
{
    struct pair p = tcp_pair();
    struct helper h;
    when_blocked(&h, reset_peer, p.c);
    READ(p.s, 16);
    helper_done(&h);
    READ(p.s, 16);
}

CASE(blocked_read_and_fin)
{
    struct pair p = tcp_pair();
    struct helper h;
    when_blocked(&h, close_peer, p.c);
    READ(p.s, 16);
    helper_done(&h);
}

CASE(blocked_write_and_reset)
{
    struct pair p = tcp_pair();
    struct helper h;
    static char block[1 << 20];
    when_blocked(&h, reset_peer, p.s);
    long n;
    errno = 0;
    while ((n = write(p.c, block, sizeof block)) > 0)
        errno = 0;
    trace_number("write(p.c, much) after the reset", n);
    helper_done(&h);
    WRITE(p.c, "x");
}

static void shut_read(struct helper *h)
{
    MUST(shutdown(h->argument, SHUT_RD));
}
static void shut_both(struct helper *h)
{
    MUST(shutdown(h->argument, SHUT_RDWR));
}

CASE(blocked_read_and_own_shutdown)
{
    struct pair p = tcp_pair();
    struct helper h;
    when_blocked(&h, shut_read, p.s);
    READ(p.s, 16);
    helper_done(&h);
    POLL(p.s);
}

CASE(blocked_read_and_own_shutdown_of_both)
{
    struct pair p = tcp_pair();
    struct helper h;
    when_blocked(&h, shut_both, p.s);
    READ(p.s, 16);
    helper_done(&h);
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
}

/* p.s is in LAST-ACK, its FIN behind octets that the peer's closed window holds back; then the peer
 * closes with them unread, which resets the connection. */
static struct pair reset_in_last_ack(void)
{
    struct pair p = tcp_pair();
    char block[4096] = "";
    nonblocking(p.s);
    for (int quiet = 0; quiet < 10; quiet++, pause_ms(5))
        while (write(p.s, block, sizeof block) > 0)
            quiet = 0;
    MUST(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    T(shutdown(p.s, SHUT_WR));
    AWAIT_STATE(p.s, "LAST-ACK");
    MUST(close(p.c));
    AWAIT(p.s, POLLERR | POLLHUP);
    return p;
}

CASE(reset_in_last_ack_then_read)
{
    struct pair p = reset_in_last_ack();
    NOTE("the peer's FIN was there before: the end of the stream stays its end");
    READ(p.s, 16);
    READ(p.s, 16);
    SOERR(p.s);
    SOERR(p.s);
    READ(p.s, 16);
}

CASE(reset_in_last_ack_then_so_error)
{
    struct pair p = reset_in_last_ack();
    SOERR(p.s);
    READ(p.s, 16);
    SEND(p.s, "x", MSG_NOSIGNAL);
}

CASE(reset_in_last_ack_then_write)
{
    struct pair p = reset_in_last_ack();
    SEND(p.s, "x", MSG_NOSIGNAL);
    SEND(p.s, "x", MSG_NOSIGNAL);
    READ(p.s, 16);
}

CASE(shut_read_still_receives)
{
    struct pair p = tcp_pair();
    T(shutdown(p.s, SHUT_RD));
    POLL(p.s);
    READ(p.s, 16);
    NOTE("Linux does not refuse what comes later");
    T(write(p.c, "late", 4));
    AWAIT_ACKED(p.c);
    AWAIT_OCTETS(p.s, 4);
    POLL(p.c);
    READ(p.s, 16);
    READ(p.s, 16);
    WRITE(p.s, "answer");
    AWAIT_OCTETS(p.c, 6);
    READ(p.c, 16);
}

CASE(shut_read_with_data_queued)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "queued", 6));
    AWAIT_OCTETS(p.s, 6);
    T(shutdown(p.s, SHUT_RD));
    POLL(p.s);
    READ(p.s, 16);
    READ(p.s, 16);
}

CASE(shutdown_twice_and_in_steps)
{
    struct pair p = tcp_pair();
    T(shutdown(p.c, SHUT_WR));
    T(shutdown(p.c, SHUT_WR));
    T(shutdown(p.c, SHUT_RD));
    AWAIT(p.s, POLLRDHUP);
    STATE(p.s);
    T(shutdown(p.s, SHUT_RDWR));
    AWAIT(p.c, POLLHUP);
    T(shutdown(p.c, SHUT_WR));
    T(shutdown(p.s, SHUT_RDWR));
    AWAIT_STATE(p.s, "CLOSE");
}

CASE(own_close_is_ebadf)
{
    struct pair p = tcp_pair();
    T(close(p.c));
    READ(p.c, 16);
    WRITE(p.c, "x");
    RECV(p.c, 16, 0);
    SEND(p.c, "x", 0);
    T(shutdown(p.c, SHUT_WR));
    NAMES(p.c);
    T(close(p.c));
    T(listen(p.c, 1));
    T(connect(p.c, AT(p.server)));
    GET(p.c, SOL_SOCKET, SO_TYPE);
    SET(p.c, SOL_SOCKET, SO_KEEPALIVE, 1);
    IOCTL(p.c, FIONREAD);
}

CASE(close_with_unread_data_resets_the_peer)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "unread", 6));
    AWAIT_OCTETS(p.s, 6);
    T(close(p.s));
    AWAIT(p.c, POLLERR | POLLHUP);
    READ(p.c, 16);
    READ(p.c, 16);
}

CASE(close_with_unread_data_after_own_write)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "unread", 6));
    AWAIT_OCTETS(p.s, 6);
    T(write(p.s, "answer", 6));
    AWAIT_OCTETS(p.c, 6);
    T(close(p.s));
    AWAIT(p.c, POLLERR | POLLHUP);
    NOTE("the answer is still there, then the reset");
    READ(p.c, 16);
    READ(p.c, 16);
    READ(p.c, 16);
}

CASE(close_after_partial_read)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    READ(p.s, 5);
    T(close(p.s));
    AWAIT(p.c, POLLERR | POLLHUP);
    SOERR(p.c);
}

CASE(close_after_peek_only)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    RECV(p.s, 16, MSG_PEEK);
    T(close(p.s));
    AWAIT(p.c, POLLERR | POLLHUP);
    SOERR(p.c);
}

CASE(data_arriving_after_close_resets)
{
    struct pair p = tcp_pair();
    T(close(p.s));
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
    WRITE(p.c, "too late");
    AWAIT(p.c, POLLERR | POLLHUP);
    READ(p.c, 16);
    READ(p.c, 16);
}

CASE(half_closed_then_peer_closes_with_our_data_unread)
{
    struct pair p = tcp_pair();
    T(write(p.c, "request", 7));
    T(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    AWAIT_OCTETS(p.s, 7);
    T(close(p.s));
    AWAIT(p.c, POLLERR | POLLHUP);
    READ(p.c, 16);
    READ(p.c, 16);
}

CASE(all_data_arrives_after_close)
{
    struct pair p = tcp_pair();
    static char block[300000];
    long total = 0, n;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = i * 7;
    pid_t child = fork();
    if (child == 0) {
        close(p.s);
        for (size_t at = 0; at < sizeof block; at += n)
            n = MUST(write(p.c, block + at, sizeof block - at));
        _exit(0);
    }
    MUST(close(p.c));
    REAP(child);
    static char got[sizeof block];
    while ((n = read(p.s, got + total, sizeof got - total)) > 0)
        total += n;
    trace("total %ld, then %ld, content %s", total, n, memcmp(got, block, total) ? "wrong" : "right");
}

CASE(sigpipe_kills_by_default)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        shutdown(p.c, SHUT_WR);
        write(p.c, "x", 1) < 0 ? _exit(1) : _exit(0);
    }
    REAP(child);
}

CASE(sigpipe_ignored)
{
    struct pair p = tcp_pair();
    signal(SIGPIPE, SIG_IGN);
    T(shutdown(p.c, SHUT_WR));
    WRITE(p.c, "x");
    SEND(p.c, "x", 0);
    SEND(p.c, "x", MSG_NOSIGNAL);
}

CASE(sigpipe_by_every_call)
{
    struct pair p = tcp_pair();
    struct iovec v = { "x", 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    T(shutdown(p.c, SHUT_WR));
    T(write(p.c, "x", 1));
    T(writev(p.c, &v, 1));
    T(send(p.c, "x", 1, 0));
    T(sendto(p.c, "x", 1, 0, NULL, 0));
    T(sendmsg(p.c, &m, 0));
    T(sendmsg(p.c, &m, MSG_NOSIGNAL));
    T(write(p.c, "x", 0));
    T(send(p.c, "x", 0, MSG_NOSIGNAL));
}
