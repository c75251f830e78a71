/* Options: what is set is read back, defaults, bounds, lengths, levels. */
#include "trace.h"

#include <termios.h>

static struct pair p;

static void roundtrip(const char *text, int level, int name, const int *values, int count)
{
    int fd = tcp4();
    for (int i = 0; i < 2; i++, fd = p.c) {
        trace("[%s on a %s socket]", text, i ? "connected" : "fresh");
        if (i == 0)
            GET(fd, level, name);
        for (int k = 0; k < count; k++) {
            trace("value %d", values[k]);
            SET(fd, level, name, values[k]);
            GET(fd, level, name);
        }
    }
}
#define ROUNDTRIP(level, name, ...)                                                                \
    ({                                                                                             \
        const int values_[] = { __VA_ARGS__ };                                                     \
        p = tcp_pair();                                                                            \
        roundtrip(#name, level, name, values_, sizeof values_ / sizeof *values_);                  \
    })

CASE(nodelay) { ROUNDTRIP(IPPROTO_TCP, TCP_NODELAY, 1, 0, 7, -1); }
CASE(cork) { ROUNDTRIP(IPPROTO_TCP, TCP_CORK, 1, 0, 5); }
CASE(keepalive) { ROUNDTRIP(SOL_SOCKET, SO_KEEPALIVE, 1, 0, 9); }
CASE(keepidle) { ROUNDTRIP(IPPROTO_TCP, TCP_KEEPIDLE, 1, 32767, 32768, 0, -1); }
CASE(keepintvl) { ROUNDTRIP(IPPROTO_TCP, TCP_KEEPINTVL, 1, 32767, 32768, 0); }
CASE(keepcnt) { ROUNDTRIP(IPPROTO_TCP, TCP_KEEPCNT, 1, 127, 128, 0); }
CASE(syncnt) { ROUNDTRIP(IPPROTO_TCP, TCP_SYNCNT, 1, 127, 128, 0); }
CASE(user_timeout) { ROUNDTRIP(IPPROTO_TCP, TCP_USER_TIMEOUT, 1, 30000, 0, -1); }
CASE(linger2) { ROUNDTRIP(IPPROTO_TCP, TCP_LINGER2, 1, 60, 120, 121, 0, -1); }
CASE(defer_accept) { ROUNDTRIP(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1, 5, 0); }
CASE(maxseg)
{
    /* What a connected socket says depends on the path, not on what was set. */
    static const int values[] = { 87, 88, 1000, 32767, 32768, 0 };
    int fd = tcp4();
    for (int i = 0; i < 6; i++) {
        SET(fd, IPPROTO_TCP, TCP_MAXSEG, values[i]);
        GET(fd, IPPROTO_TCP, TCP_MAXSEG);
    }
}
CASE(window_clamp) { ROUNDTRIP(IPPROTO_TCP, TCP_WINDOW_CLAMP, 10000, 1); }
CASE(notsent_lowat) { ROUNDTRIP(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1000, 0, -1); }
CASE(fastopen) { ROUNDTRIP(IPPROTO_TCP, TCP_FASTOPEN, 5, 0, -1); }
CASE(fastopen_connect) { ROUNDTRIP(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, 0); }
CASE(quickack) { ROUNDTRIP(IPPROTO_TCP, TCP_QUICKACK, 0, 1); }
CASE(thin) { ROUNDTRIP(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1, 0, 2); }
CASE(inq) { ROUNDTRIP(IPPROTO_TCP, TCP_INQ, 1, 0, 2); }
CASE(reuseaddr) { ROUNDTRIP(SOL_SOCKET, SO_REUSEADDR, 1, 0, 2); }
CASE(reuseport) { ROUNDTRIP(SOL_SOCKET, SO_REUSEPORT, 1, 0, 2); }
CASE(broadcast) { ROUNDTRIP(SOL_SOCKET, SO_BROADCAST, 1, 0); }
CASE(dontroute) { ROUNDTRIP(SOL_SOCKET, SO_DONTROUTE, 1, 0); }
CASE(oobinline) { ROUNDTRIP(SOL_SOCKET, SO_OOBINLINE, 1, 0); }
CASE(priority) { ROUNDTRIP(SOL_SOCKET, SO_PRIORITY, 1, 6, 0); }
CASE(rcvlowat) { ROUNDTRIP(SOL_SOCKET, SO_RCVLOWAT, 1, 100, 0, -1); }
CASE(sndlowat) { ROUNDTRIP(SOL_SOCKET, SO_SNDLOWAT, 5); }
CASE(timestamp) { ROUNDTRIP(SOL_SOCKET, SO_TIMESTAMP, 1, 0); }
CASE(mark) { ROUNDTRIP(SOL_SOCKET, SO_MARK, 7, 0); }
CASE(busy_poll) { ROUNDTRIP(SOL_SOCKET, SO_BUSY_POLL, 0); }
CASE(passcred) { ROUNDTRIP(SOL_SOCKET, SO_PASSCRED, 1, 0); }
CASE(read_only_options)
{
    ROUNDTRIP(SOL_SOCKET, SO_TYPE, 1);
    ROUNDTRIP(SOL_SOCKET, SO_DOMAIN, 1);
    ROUNDTRIP(SOL_SOCKET, SO_PROTOCOL, 1);
    ROUNDTRIP(SOL_SOCKET, SO_ACCEPTCONN, 1);
    ROUNDTRIP(SOL_SOCKET, SO_ERROR, 1);
}
CASE(ip_tos) { ROUNDTRIP(IPPROTO_IP, IP_TOS, 0x10, 0xff, 0, 256); }
CASE(ip_ttl) { ROUNDTRIP(IPPROTO_IP, IP_TTL, 1, 255, 256, 0, -1); }
CASE(ip_mtu_discover) { ROUNDTRIP(IPPROTO_IP, IP_MTU_DISCOVER, 0, 2, 9); }
CASE(ip_freebind) { ROUNDTRIP(IPPROTO_IP, IP_FREEBIND, 1, 0); }
CASE(ip_recverr) { ROUNDTRIP(IPPROTO_IP, IP_RECVERR, 1, 0); }
CASE(ip_pktinfo) { ROUNDTRIP(IPPROTO_IP, IP_PKTINFO, 1, 0); }
CASE(ip_bind_address_no_port) { ROUNDTRIP(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, 0); }

CASE(buffers_are_doubled_and_clamped)
{
    int fd = tcp4();
    SET(fd, SOL_SOCKET, SO_RCVBUF, 10000);
    GET(fd, SOL_SOCKET, SO_RCVBUF);
    SET(fd, SOL_SOCKET, SO_SNDBUF, 10000);
    GET(fd, SOL_SOCKET, SO_SNDBUF);
    SET(fd, SOL_SOCKET, SO_RCVBUF, 1);
    GET(fd, SOL_SOCKET, SO_RCVBUF);
    SET(fd, SOL_SOCKET, SO_SNDBUF, 1);
    GET(fd, SOL_SOCKET, SO_SNDBUF);
    struct pair q = tcp_pair();
    SET(q.c, SOL_SOCKET, SO_SNDBUF, 20000);
    GET(q.c, SOL_SOCKET, SO_SNDBUF);
    SET(q.c, SOL_SOCKET, SO_RCVBUF, 20000);
    GET(q.c, SOL_SOCKET, SO_RCVBUF);
}

CASE(buffers_inherited_from_the_listener)
{
    struct addr server;
    int l = listener(&server);
    SET(l, SOL_SOCKET, SO_RCVBUF, 30000);
    SET(l, SOL_SOCKET, SO_SNDBUF, 30000);
    connected_to(&server);
    int s = FD(accept(l, NULL, NULL));
    GET(s, SOL_SOCKET, SO_RCVBUF);
    GET(s, SOL_SOCKET, SO_SNDBUF);
}

CASE(cookie_and_incoming)
{
    struct pair q = tcp_pair();
    unsigned long long a = 0, b = 0, c = 0;
    socklen_t len = sizeof a;
    T(getsockopt(q.c, SOL_SOCKET, SO_COOKIE, &a, &len));
    trace("length %u", len);
    T(getsockopt(q.s, SOL_SOCKET, SO_COOKIE, &b, &len));
    T(getsockopt(q.c, SOL_SOCKET, SO_COOKIE, &c, &len));
    trace("of one socket equal: %d, of two different: %d, not 0: %d", a == c, a != b, a != 0);
    len = 4;
    T(getsockopt(q.c, SOL_SOCKET, SO_COOKIE, &a, &len));
}

CASE(lengths)
{
    int fd = tcp4(), value = 0x01010101;
    char wide[64];
    socklen_t len;
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 4));
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 3));
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 0));
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4));
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4));
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, -1));
    memset(wide, 1, sizeof wide);
    T(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, wide, sizeof wide));
    T(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 3));
    T(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 4));
    T(setsockopt(fd, IPPROTO_IP, IP_TOS, &value, 1));
    T(setsockopt(fd, IPPROTO_IP, IP_TOS, &value, 0));
    for (int room = 0; room < 9; room++) {
        memset(wide, 0xee, sizeof wide);
        len = room;
        errno = 0;
        int r = getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, wide, &len);
        trace("room %d: %d %s, length %u, first %02x, behind %02x", room, r, errno_name(errno), len,
              (unsigned char)wide[0], (unsigned char)wide[room < 4 ? room : 4]);
    }
    for (int room = 0; room < 9; room += 2) {
        memset(wide, 0xee, sizeof wide);
        len = room;
        errno = 0;
        int r = getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, wide, &len);
        trace("room %d: %d %s, length %u, first %02x, behind %02x", room, r, errno_name(errno), len,
              (unsigned char)wide[0], (unsigned char)wide[room < 4 ? room : 4]);
    }
    for (int room = 0; room < 6; room++) {
        memset(wide, 0xee, sizeof wide);
        len = room;
        errno = 0;
        int r = getsockopt(fd, IPPROTO_IP, IP_TTL, wide, &len);
        trace("room %d: %d %s, length %u", room, r, errno_name(errno), len);
    }
    len = -1;
    T(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, wide, &len));
    T(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, wide, NULL));
    len = 4;
    T(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, &len));
}

CASE(unknown_levels_and_names)
{
    int fd = tcp4();
    SET(fd, 999, 1, 1);
    GET(fd, 999, 1);
    SET(fd, SOL_SOCKET, 9999, 1);
    GET(fd, SOL_SOCKET, 9999);
    SET(fd, IPPROTO_TCP, 9999, 1);
    GET(fd, IPPROTO_TCP, 9999);
    SET(fd, IPPROTO_IP, 9999, 1);
    GET(fd, IPPROTO_IP, 9999);
    SET(fd, IPPROTO_UDP, 1, 1);
    GET(fd, IPPROTO_UDP, 1);
    SET(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    GET(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    SET(-1, SOL_SOCKET, SO_KEEPALIVE, 1);
    GET(-1, SOL_SOCKET, SO_KEEPALIVE);
    SET(0, SOL_SOCKET, SO_KEEPALIVE, 1);
    GET(0, SOL_SOCKET, SO_KEEPALIVE);
}

CASE(tcp_info)
{
    struct pair q = tcp_pair();
    struct tcp_info i;
    socklen_t len = sizeof i;
    T(getsockopt(q.c, IPPROTO_TCP, TCP_INFO, &i, &len));
    trace("room for ours: length %u", len);
    trace("state %d, retransmits %d, probes %d, backoff %d", i.tcpi_state, i.tcpi_retransmits,
          i.tcpi_probes, i.tcpi_backoff);
    trace("unacked %u, lost %u, retrans %u, total %u", i.tcpi_unacked, i.tcpi_lost, i.tcpi_retrans,
          i.tcpi_total_retrans);
    trace("mss %s, cwnd %u", i.tcpi_snd_mss > 500 ? "sane" : "small", i.tcpi_snd_cwnd);
    trace("options: timestamps %d, sack %d, window scale %d", !!(i.tcpi_options & TCPI_OPT_TIMESTAMPS),
          !!(i.tcpi_options & TCPI_OPT_SACK), !!(i.tcpi_options & TCPI_OPT_WSCALE));
    trace("rto sane %d, rtt measured %d", i.tcpi_rto >= 200000 && i.tcpi_rto < 1200000,
          i.tcpi_rtt > 0);
    len = 8;
    T(getsockopt(q.c, IPPROTO_TCP, TCP_INFO, &i, &len));
    trace("room 8: length %u", len);
    len = 1;
    T(getsockopt(q.c, IPPROTO_TCP, TCP_INFO, &i, &len));
    trace("room 1: length %u", len);
    T(setsockopt(q.c, IPPROTO_TCP, TCP_INFO, &i, sizeof i));
}

CASE(congestion)
{
    int fd = tcp4();
    char name[32] = "";
    socklen_t len = sizeof name;
    T(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
    T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
    trace("%s, length %u", name, len);
    T(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5));
    T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
    trace("%s", name);
    T(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "no-such-thing", 13));
    T(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0));
    len = 3;
    T(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
    trace("length %u", len);
}

CASE(timeouts_are_read_back)
{
    int fd = tcp4();
    struct timeval t = { 1, 500000 };
    socklen_t len = sizeof t;
    T(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
    memset(&t, 0, sizeof t);
    T(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, &len));
    trace("%ld.%06ld, length %u", (long)t.tv_sec, (long)t.tv_usec, len);
    T(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, &len));
    trace("%ld.%06ld", (long)t.tv_sec, (long)t.tv_usec);
    t = (struct timeval){ 0, 1000000 };
    T(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
    t = (struct timeval){ -1, 0 };
    T(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
    T(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, &len));
    trace("%ld.%06ld", (long)t.tv_sec, (long)t.tv_usec);
    T(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t - 1));
    T(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, 4));
}

CASE(options_survive_connect_and_failure)
{
    struct addr server, none = nobody();
    int fd = tcp4();
    listener(&server);
    SET(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    SET(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 55);
    T(connect(fd, AT(none)));
    GET(fd, IPPROTO_TCP, TCP_NODELAY);
    GET(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    T(connect(fd, AT(server)));
    GET(fd, IPPROTO_TCP, TCP_NODELAY);
    GET(fd, SOL_SOCKET, SO_KEEPALIVE);
    GET(fd, IPPROTO_TCP, TCP_KEEPIDLE);
}

CASE(names_lengths)
{
    struct pair q = tcp_pair();
    for (int room = 0; room <= 20; room += 5) {
        struct addr a = { .len = room };
        T(getsockname(q.c, &a.sa, &a.len));
        trace("room %d: length %u", room, a.len);
        a.len = room;
        T(getpeername(q.c, &a.sa, &a.len));
        trace("room %d: length %u", room, a.len);
    }
    struct addr a = { .len = -1 };
    T(getsockname(q.c, &a.sa, &a.len));
    T(getsockname(q.c, &a.sa, NULL));
    T(getsockname(q.c, NULL, &(socklen_t){ 16 }));
    T(getsockname(-1, &a.sa, &a.len));
    T(getsockname(1, &a.sa, &(socklen_t){ 16 }));
}

CASE(peercred_and_peersec)
{
    struct pair q = tcp_pair();
    struct ucred u = { 7, 7, 7 };
    socklen_t len = sizeof u;
    T(getsockopt(q.c, SOL_SOCKET, SO_PEERCRED, &u, &len));
    trace("pid %d, uid %d, gid %d, length %u", u.pid, (int)u.uid, (int)u.gid, len);
}

CASE(ioctls)
{
    struct pair q = tcp_pair();
    int on = 1;
    IOCTL(q.c, FIONREAD);
    IOCTL(q.c, SIOCINQ);
    IOCTL(q.c, SIOCOUTQ);
    IOCTL(q.c, SIOCOUTQNSD);
    IOCTL(q.c, SIOCATMARK);
    T(ioctl(q.c, FIONBIO, &on));
    READ(q.c, 4);
    on = 0;
    T(ioctl(q.c, FIONBIO, &on));
    trace("O_NONBLOCK %d", !!(fcntl(q.c, F_GETFL) & O_NONBLOCK));
    T(ioctl(q.c, FIOCLEX));
    trace("FD_CLOEXEC %d", fcntl(q.c, F_GETFD));
    T(ioctl(q.c, TCGETS, NULL));
    trace("isatty %d", isatty(q.c));
    T(ioctl(q.c, 0x12345678, &on));
    IOCTL(q.l, FIONREAD);
    IOCTL(q.l, SIOCOUTQ);
}

CASE(fstat_and_lseek)
{
    struct pair q = tcp_pair();
    struct stat s;
    T(fstat(q.c, &s));
    trace("a socket: %d, size %ld, links %ld", S_ISSOCK(s.st_mode), (long)s.st_size, (long)s.st_nlink);
    T(lseek(q.c, 0, SEEK_CUR));
    T(pread(q.c, &s, 1, 0));
    T(fsync(q.c));
    T(ftruncate(q.c, 0));
}
