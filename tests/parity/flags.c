/* Flags of recv() and send(), urgent data, message calls, queues. */
#include "trace.h"

CASE(peek)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    RECV(p.s, 3, MSG_PEEK);
    RECV(p.s, 16, MSG_PEEK);
    RECV(p.s, 2, 0);
    RECV(p.s, 16, MSG_PEEK | MSG_DONTWAIT);
    READ(p.s, 16);
    RECV(p.s, 16, MSG_PEEK | MSG_DONTWAIT);
}

CASE(peek_offset)
{
    struct pair p = tcp_pair();
    SET(p.s, SOL_SOCKET, SO_PEEK_OFF, 0);
    GET(p.s, SOL_SOCKET, SO_PEEK_OFF);
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    RECV(p.s, 2, MSG_PEEK);
    RECV(p.s, 2, MSG_PEEK);
    RECV(p.s, 3, 0);
    RECV(p.s, 2, MSG_PEEK);
}

static void write_rest(struct helper *h)
{
    MUST(write(h->argument, "def", 3));
}
static void close_instead(struct helper *h)
{
    MUST(close(h->argument));
}

CASE(peek_of_all_waits_for_all)
{
    struct pair p = tcp_pair();
    struct helper h;
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    when_blocked(&h, write_rest, p.c);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    helper_done(&h);
    RECV(p.s, 2, MSG_PEEK);
    READ(p.s, 16);
}

CASE(peek_of_all_ends_with_the_stream)
{
    struct pair p = tcp_pair();
    struct helper h;
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    when_blocked(&h, close_instead, p.c);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    helper_done(&h);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    READ(p.s, 16);
    READ(p.s, 16);
}

CASE(peek_of_all_ends_with_its_time)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    receive_timeout(p.s, 50);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT);
    nonblocking(p.s);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    READ(p.s, 16);
}

CASE(peek_message_of_all_waits_for_all)
{
    struct pair p = tcp_pair();
    struct helper h;
    char data[6] = "";
    struct iovec parts[2] = { { data, 2 }, { data + 2, 4 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    when_blocked(&h, write_rest, p.c);
    T(recvmsg(p.s, &message, MSG_PEEK | MSG_WAITALL));
    helper_done(&h);
    trace("%.6s", data);
    READ(p.s, 16);
}

CASE(peek_of_all_stops_at_an_urgent_octet)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abc", 3));
    MUST(send(p.c, "d", 1, MSG_OOB));
    AWAIT(p.s, POLLPRI);
    RECV(p.s, 10, MSG_PEEK | MSG_WAITALL);
    RECV(p.s, 10, MSG_OOB | MSG_PEEK | MSG_WAITALL);
    READ(p.s, 16);
}

CASE(trunc_of_all_ends_with_its_time)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    receive_timeout(p.s, 50);
    T(recv(p.s, NULL, 10, MSG_TRUNC | MSG_PEEK | MSG_WAITALL));
    T(recv(p.s, NULL, 10, MSG_TRUNC | MSG_WAITALL));
    T(recv(p.s, NULL, 10, MSG_TRUNC | MSG_WAITALL));
}

CASE(peek_of_all_ends_with_a_reset)
{
    struct pair p = tcp_pair();
    struct helper h;
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    linger(p.c, 1, 0);
    when_blocked(&h, close_instead, p.c);
    RECV(p.s, 6, MSG_PEEK | MSG_WAITALL);
    helper_done(&h);
    RECV(p.s, 6, MSG_PEEK);
    READ(p.s, 16);
    READ(p.s, 16);
}

CASE(waitall_waits_for_all)
{
    struct pair p = tcp_pair();
    struct helper h;
    MUST(write(p.c, "abc", 3));
    when_blocked(&h, write_rest, p.c);
    RECV(p.s, 6, MSG_WAITALL);
    helper_done(&h);
}

CASE(waitall_ends_at_eof)
{
    struct pair p = tcp_pair();
    struct helper h;
    MUST(write(p.c, "abc", 3));
    when_blocked(&h, close_instead, p.c);
    RECV(p.s, 6, MSG_WAITALL);
    helper_done(&h);
}

CASE(waitall_with_dontwait)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    RECV(p.s, 6, MSG_WAITALL | MSG_DONTWAIT);
    RECV(p.s, 6, MSG_WAITALL | MSG_DONTWAIT);
}

CASE(waitall_with_timeout)
{
    struct pair p = tcp_pair();
    receive_timeout(p.s, 100);
    MUST(write(p.c, "abc", 3));
    RECV(p.s, 6, MSG_WAITALL);
    RECV(p.s, 6, MSG_WAITALL);
}

CASE(trunc_throws_away)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abcdefgh", 8));
    AWAIT_OCTETS(p.s, 8);
    NOTE("MSG_TRUNC on a stream: octets are taken and not copied");
    char data[8] = "-------";
    T(recv(p.s, data, 3, MSG_TRUNC));
    trace("%s", data);
    T(recv(p.s, NULL, 2, MSG_TRUNC));
    READ(p.s, 16);
}

CASE(dontwait)
{
    struct pair p = tcp_pair();
    RECV(p.s, 4, MSG_DONTWAIT);
    SEND(p.s, "abc", MSG_DONTWAIT);
    AWAIT_OCTETS(p.c, 3);
    RECV(p.c, 4, MSG_DONTWAIT);
}

CASE(unknown_flags)
{
    struct pair p = tcp_pair();
    T(send(p.c, "abc", 3, MSG_EOR | MSG_CONFIRM | MSG_DONTROUTE));
    AWAIT_OCTETS(p.s, 3);
    T(recv(p.s, (char[8]){ 0 }, 8, MSG_ERRQUEUE));
    T(recv(p.s, (char[8]){ 0 }, 8, MSG_CMSG_CLOEXEC));
}

CASE(msg_more_holds_back)
{
    struct pair p = tcp_pair();
    SEND(p.c, "abc", MSG_MORE);
    NOTE("nothing for 100 ms at least, then all in one");
    SEND(p.c, "def", 0);
    AWAIT_OCTETS(p.s, 6);
    READ(p.s, 16);
}

CASE(cork_holds_back)
{
    struct pair p = tcp_pair();
    SET(p.c, IPPROTO_TCP, TCP_CORK, 1);
    WRITE(p.c, "abc");
    WRITE(p.c, "def");
    SET(p.c, IPPROTO_TCP, TCP_CORK, 0);
    AWAIT_OCTETS(p.s, 6);
    READ(p.s, 16);
}

CASE(oob_octet)
{
    struct pair p = tcp_pair();
    SEND(p.c, "abc", MSG_OOB);
    AWAIT(p.s, POLLPRI | POLLIN);
    IOCTL(p.s, SIOCATMARK);
    IOCTL(p.s, FIONREAD);
    NOTE("the last octet is the urgent one; a read stops before it");
    READ(p.s, 16);
    IOCTL(p.s, SIOCATMARK);
    RECV(p.s, 4, MSG_OOB);
    RECV(p.s, 4, MSG_OOB);
    SETTLE(p.s);
    SEND(p.c, "def", 0);
    AWAIT(p.s, POLLIN);
    IOCTL(p.s, FIONREAD);
    READ(p.s, 16);
    IOCTL(p.s, SIOCATMARK);
}

CASE(oob_peek_and_none)
{
    struct pair p = tcp_pair();
    RECV(p.s, 1, MSG_OOB);
    SEND(p.c, "!", MSG_OOB);
    AWAIT(p.s, POLLPRI);
    RECV(p.s, 1, MSG_OOB | MSG_PEEK);
    RECV(p.s, 1, MSG_OOB);
    RECV(p.s, 1, MSG_OOB);
}

CASE(oob_inline)
{
    struct pair p = tcp_pair();
    SET(p.s, SOL_SOCKET, SO_OOBINLINE, 1);
    SEND(p.c, "abc", MSG_OOB);
    AWAIT(p.s, POLLPRI);
    RECV(p.s, 1, MSG_OOB);
    READ(p.s, 16);
    IOCTL(p.s, SIOCATMARK);
    READ(p.s, 16);
}

static volatile sig_atomic_t urgent;
static void on_urgent(int number)
{
    (void)number;
    urgent = 1;
}

CASE(oob_sigurg)
{
    struct pair p = tcp_pair();
    signal(SIGURG, on_urgent);
    T(fcntl(p.s, F_SETOWN, getpid()));
    T(fcntl(p.s, F_GETOWN) == getpid());
    SEND(p.c, "!", MSG_OOB);
    AWAIT_TRUE(urgent);
    trace("SIGURG: %d", urgent);
}

CASE(queues)
{
    struct pair p = tcp_pair();
    IOCTL(p.s, FIONREAD);
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    IOCTL(p.s, FIONREAD);
    AWAIT_ACKED(p.c);
    IOCTL(p.c, SIOCOUTQ);
    IOCTL(p.c, SIOCOUTQNSD);
    READ(p.s, 2);
    IOCTL(p.s, FIONREAD);
    READ(p.s, 16);
    IOCTL(p.s, FIONREAD);
}

CASE(queue_of_unread_data_counts_up_to_the_end)
{
    struct pair p = tcp_pair();
    static char block[50000];
    MUST(write(p.c, block, sizeof block));
    AWAIT_OCTETS(p.s, (int)sizeof block);
    IOCTL(p.s, FIONREAD);
    MUST(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    IOCTL(p.s, FIONREAD);
}

CASE(recvmsg_and_sendmsg)
{
    struct pair p = tcp_pair();
    char a[2], b[8] = "";
    struct addr name = { .len = sizeof name.ss };
    struct iovec out[] = { { "abc", 3 }, { "", 0 }, { "def", 3 } }, in[] = { { a, 2 }, { b, 7 } };
    struct msghdr m = { .msg_iov = out, .msg_iovlen = 3 };
    T(sendmsg(p.c, &m, 0));
    AWAIT_OCTETS(p.s, 6);
    char control[64];
    m = (struct msghdr){ .msg_iov = in, .msg_iovlen = 2, .msg_name = &name.ss,
                         .msg_namelen = sizeof name.ss, .msg_control = control,
                         .msg_controllen = sizeof control, .msg_flags = -1 };
    T(recvmsg(p.s, &m, 0));
    trace("%.2s %.4s, name %u, control %zu, flags %x", a, b, m.msg_namelen, m.msg_controllen,
          m.msg_flags);
    m.msg_iovlen = 2000;
    T(recvmsg(p.s, &m, MSG_DONTWAIT));
    m = (struct msghdr){ .msg_iov = NULL, .msg_iovlen = 0 };
    T(sendmsg(p.c, &m, 0));
    T(sendmsg(p.c, (void *)8, 0));
}

CASE(sendmsg_with_rights_over_tcp)
{
    struct pair p = tcp_pair();
    int fd = 1;
    char control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec v = { "x", 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof control };
    CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
    CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
    CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    NOTE("TCP carries no descriptors: they are ignored");
    T(sendmsg(p.c, &m, 0));
    AWAIT_OCTETS(p.s, 1);
    READ(p.s, 4);
}

CASE(sendmmsg_and_recvmmsg)
{
    struct pair p = tcp_pair();
    char a[4] = "", b[4] = "";
    struct iovec out[] = { { "abc", 3 }, { "def", 3 } }, in[] = { { a, 3 }, { b, 3 } };
    struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = &out[0], .msg_iovlen = 1 } },
                            { .msg_hdr = { .msg_iov = &out[1], .msg_iovlen = 1 } } };
    struct timespec t = { 1, 0 };
    T(sendmmsg(p.c, m, 2, 0));
    trace("%u %u", m[0].msg_len, m[1].msg_len);
    AWAIT_OCTETS(p.s, 6);
    m[0].msg_hdr.msg_iov = &in[0];
    m[1].msg_hdr.msg_iov = &in[1];
    T(recvmmsg(p.s, m, 2, 0, &t));
    trace("%s %s, %u %u", a, b, m[0].msg_len, m[1].msg_len);
    T(recvmmsg(p.s, m, 2, MSG_DONTWAIT, NULL));
    T(shutdown(p.c, SHUT_WR));
    m[0].msg_hdr.msg_iov = &out[0];
    T(sendmmsg(p.c, m, 2, MSG_NOSIGNAL));
}

CASE(sendmmsg_stops_at_the_first_failure)
{
    struct pair p = tcp_pair();
    struct iovec out[] = { { "abc", 3 }, { (void *)8, 3 } };
    struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = &out[0], .msg_iovlen = 1 } },
                            { .msg_hdr = { .msg_iov = &out[1], .msg_iovlen = 1 } } };
    T(sendmmsg(p.c, m, 2, 0));
    AWAIT_OCTETS(p.s, 3);
    READ(p.s, 8);
}

CASE(recvfrom_gives_no_name)
{
    struct pair p = tcp_pair();
    struct addr from = { .len = sizeof from.ss };
    char x[8];
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    from.sa.sa_family = 99;
    T(recvfrom(p.s, x, sizeof x, 0, &from.sa, &from.len));
    trace("length %u, family %d", from.len, from.sa.sa_family);
}

CASE(sendto_ignores_the_name)
{
    struct pair p = tcp_pair();
    struct addr elsewhere = v4("192.0.2.7", 9);
    T(sendto(p.c, "abc", 3, 0, AT(elsewhere)));
    T(sendto(p.c, "abc", 3, 0, &elsewhere.sa, 1));
    T(sendto(p.c, "abc", 3, 0, NULL, 100));
    AWAIT_OCTETS(p.s, 9);
}

CASE(bad_pointers)
{
    struct pair p = tcp_pair();
    T(write(p.c, (void *)8, 4));
    T(send(p.c, NULL, 4, 0));
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    T(read(p.s, (void *)8, 4));
    T(recv(p.s, NULL, 4, 0));
    READ(p.s, 16);
    T(readv(p.s, NULL, 1));
    T(writev(p.c, NULL, -1));
}

CASE(inq_control_message)
{
    struct pair p = tcp_pair();
    char x[2], control[64];
    struct iovec v = { x, 2 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof control };
    SET(p.s, IPPROTO_TCP, TCP_INQ, 1);
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    T(recvmsg(p.s, &m, 0));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c)
        trace("level %d, type %d, left %d", c->cmsg_level, c->cmsg_type, *(int *)CMSG_DATA(c));
    else
        trace("no control message");
}

CASE(zerocopy)
{
    struct pair p = tcp_pair();
    SET(p.c, SOL_SOCKET, SO_ZEROCOPY, 1);
    GET(p.c, SOL_SOCKET, SO_ZEROCOPY);
    NOTE("without the option MSG_ZEROCOPY is an ordinary send");
    SET(p.c, SOL_SOCKET, SO_ZEROCOPY, 0);
    T(send(p.c, "abc", 3, MSG_ZEROCOPY));
    AWAIT_OCTETS(p.s, 3);
    READ(p.s, 8);
}
