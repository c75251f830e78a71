/* IPv6 and IPv4-mapped addresses. */
#include "trace.h"

CASE(plain)
{
    struct pair p = pair_at(v6("::1", 0));
    NAMES(p.c);
    NAMES(p.s);
    GET(p.c, SOL_SOCKET, SO_DOMAIN);
    GET(p.s, SOL_SOCKET, SO_DOMAIN);
    T(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    READ(p.s, 16);
    T(close(p.s));
    AWAIT(p.c, POLLRDHUP);
}

CASE(dual_stack_listener_takes_v4)
{
    struct addr any = v6("::", 0), from = { .len = sizeof from.ss };
    int l = listener_at(&any, 4);
    struct addr four = v4("127.0.0.1", port_of(&any));
    int c = tcp4();
    T(connect(c, AT(four)));
    NAMES(c);
    int s = FD(accept(l, &from.sa, &from.len));
    trace("from %s, length %u", addr_text(&from), from.len);
    NAMES(s);
    GET(s, SOL_SOCKET, SO_DOMAIN);
    GET(s, IPPROTO_IPV6, IPV6_V6ONLY);
    struct addr six = v6("::1", port_of(&any));
    c = tcp6();
    T(connect(c, AT(six)));
    s = FD(accept(l, NULL, NULL));
    NAMES(s);
}

CASE(v6only_listener_refuses_v4)
{
    struct addr any = v6("::", 0);
    int l = tcp6();
    SET(l, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    T(bind(l, AT(any)));
    T(listen(l, 4));
    any = local(l);
    struct addr four = v4("127.0.0.1", port_of(&any)), six = v6("::1", port_of(&any));
    T(connect(tcp4(), AT(four)));
    T(connect(tcp6(), AT(six)));
    GET(l, IPPROTO_IPV6, IPV6_V6ONLY);
    SET(l, IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

CASE(mapped_connect)
{
    struct addr server;
    int l = listener(&server), c = tcp6();
    struct addr mapped = v6("::ffff:127.0.0.1", port_of(&server));
    T(connect(c, AT(mapped)));
    NAMES(c);
    int s = FD(accept(l, NULL, NULL));
    NAMES(s);
    WRITE(c, "mapped");
    AWAIT_OCTETS(s, 6);
    READ(s, 16);
}

CASE(mapped_with_v6only)
{
    struct addr server;
    listener(&server);
    struct addr mapped = v6("::ffff:127.0.0.1", port_of(&server));
    int c = tcp6();
    SET(c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    T(connect(c, AT(mapped)));
    T(bind(c, AT(mapped)));
}

CASE(mapped_listener)
{
    struct addr mapped = v6("::ffff:127.0.0.1", 0);
    int l = listener_at(&mapped, 4);
    SOCKNAME(l);
    struct addr four = v4("127.0.0.1", port_of(&mapped)), six = v6("::1", port_of(&mapped));
    T(connect(tcp4(), AT(four)));
    T(connect(tcp6(), AT(six)));
    int s = FD(accept(l, NULL, NULL));
    NAMES(s);
}

CASE(v4_address_on_a_v6_socket)
{
    struct addr server;
    listener(&server);
    int c = tcp6();
    T(connect(c, AT(server)));
    T(bind(tcp6(), AT(server)));
}

CASE(unspecified_means_this_machine)
{
    struct addr at = v6("::1", 0);
    listener_at(&at, 4);
    struct addr zero = v6("::", port_of(&at));
    int c = tcp6();
    T(connect(c, AT(zero)));
    PEERNAME(c);
}

CASE(refused)
{
    struct addr none = v6("::1", free_port());
    int c = tcp6();
    T(connect(c, AT(none)));
    SOERR(c);
    nonblocking(c);
    T(connect(c, AT(none)));
    AWAIT(c, POLLERR);
    SOERR(c);
}

CASE(scope_and_flow_in_names)
{
    struct addr at = v6("::1", 0);
    at.v6.sin6_scope_id = 5;
    at.v6.sin6_flowinfo = htonl(7);
    int l = tcp6();
    T(bind(l, AT(at)));
    struct addr a = local(l);
    trace("scope %u, flow %u", a.v6.sin6_scope_id, ntohl(a.v6.sin6_flowinfo));
}

CASE(address_lengths)
{
    struct pair p = pair_at(v6("::1", 0));
    for (int room = 8; room <= 32; room += 8) {
        struct addr a = { .len = room };
        T(getpeername(p.c, &a.sa, &a.len));
        trace("room %d: length %u", room, a.len);
    }
    T(connect(tcp6(), &p.server.sa, 24));
    T(connect(tcp6(), &p.server.sa, 27));
    T(connect(tcp6(), &p.server.sa, 16));
}

CASE(options)
{
    struct pair p = pair_at(v6("::1", 0));
    GET(p.c, IPPROTO_IPV6, IPV6_V6ONLY);
    SET(p.c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    SET(p.c, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
    GET(p.c, IPPROTO_IPV6, IPV6_TCLASS);
    SET(p.c, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33);
    GET(p.c, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
    SET(p.c, IPPROTO_IP, IP_TTL, 20);
    GET(p.c, IPPROTO_IP, IP_TTL);
    GET(p.c, IPPROTO_IPV6, 9999);
    SET(p.c, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    GET(p.c, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

CASE(addrform_and_defaults)
{
    int fd = tcp6();
    GET(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    GET(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
    GET(fd, IPPROTO_IPV6, IPV6_TCLASS);
    SET(fd, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET);
}

CASE(unbound_names)
{
    int fd = tcp6();
    NAMES(fd);
    T(listen(fd, 1));
    SOCKNAME(fd);
}

CASE(to_itself)
{
    int port = free_port(), fd = tcp6();
    struct addr self = v6("::1", port);
    T(bind(fd, AT(self)));
    T(connect(fd, AT(self)));
    T(write(fd, "echo", 4));
    AWAIT_OCTETS(fd, 4);
    READ(fd, 16);
}
