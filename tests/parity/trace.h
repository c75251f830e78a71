/*
 * Normalised traces: what a program sees of its sockets, one line for each call, in a form that is
 * the same on every machine and in every run.
 *
 * A case is written CASE(name) { ... }; `./prog name` runs it, `./prog --list` lists all of them.
 * Descriptors print as "fd", ports as P1, P2 ... in the order of their first appearance, errors by
 * name. A case never sleeps to let something happen: it waits for the condition (AWAIT and its
 * like), with a deadline that prints "TIMED OUT". To show that something does NOT happen it uses
 * SETTLE, which waits until what poll() says has been the same for a while.
 */
#ifndef TRACE_H
#define TRACE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>

#define UNUSED __attribute__((unused))

/* How long a condition is waited for before the trace says that it did not come. */
#define DEADLINE_MS 5000
/* A call that wrongly blocks ends the case, so that its trace shows which one it was. */
#define CASE_LIMIT_S 30
/* How long poll() must say the same before SETTLE believes that nothing more is on its way, and
 * asks whether whoever serves the socket has got round to everything. */
#define SETTLED_MS 60

/* ---- cases ---------------------------------------------------------------------------------- */

struct trace_case {
    const char *name;
    void (*run)(int argument);
    int argument;
    struct trace_case *next;
};

static struct trace_case *trace_cases, **trace_last = &trace_cases;

UNUSED static void trace_register(const char *name, void (*run)(int), int argument)
{
    struct trace_case *c = malloc(sizeof *c);
    *c = (struct trace_case){ .name = name, .run = run, .argument = argument };
    *trace_last = c;
    trace_last = &c->next;
}

#define CASE(name)                                                                                 \
    static void case_##name(int);                                                                  \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        trace_register(#name, case_##name, 0);                                                     \
    }                                                                                              \
    static void case_##name(UNUSED int argument)

/* ---- output --------------------------------------------------------------------------------- */

/* One write() a line, so that the lines of several processes do not mix. */
__attribute__((format(printf, 1, 2))) UNUSED static void trace(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int saved = errno;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    if (write(1, line, n) != n)
        _exit(3);
    errno = saved;
}

#define NOTE(text) trace("-- %s", text)

static const char *errno_name(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "E?";
}

UNUSED static const char *bit_names(unsigned bits)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        { POLLIN, "IN" },         { POLLPRI, "PRI" },       { POLLOUT, "OUT" },
        { POLLERR, "ERR" },       { POLLHUP, "HUP" },       { POLLNVAL, "NVAL" },
        { POLLRDNORM, "RDNORM" }, { POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" },
        { POLLWRBAND, "WRBAND" }, { POLLRDHUP, "RDHUP" },
    };
    static char text[4][128];
    static int which;
    char *out = text[which = (which + 1) % 4];
    *out = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bits & names[i].bit) {
            if (*out)
                strcat(out, "|");
            strcat(out, names[i].name);
        }
    return *out ? out : "0";
}

/* Signals seen since the last line: they are printed with the call that raised them. */
static volatile sig_atomic_t seen_signal, signal_count;

static void note_signal(int number)
{
    seen_signal = number;
    signal_count++;
}

UNUSED static const char *signal_text(void)
{
    static char text[32];
    int number = seen_signal;
    seen_signal = 0;
    if (!number)
        return "";
    snprintf(text, sizeof text, " +SIG%s", sigabbrev_np(number));
    return text;
}

UNUSED static void trace_number(const char *call, long value)
{
    if (value == -1 && errno)
        trace("%s = -1 %s%s", call, errno_name(errno), signal_text());
    else
        trace("%s = %ld%s", call, value, signal_text());
}

UNUSED static void trace_descriptor(const char *call, int fd)
{
    if (fd < 0)
        trace_number(call, fd);
    else
        trace("%s = fd%s", call, signal_text());
}

UNUSED static void trace_data(const char *call, long n, const void *data)
{
    const unsigned char *octets = data;
    char text[4 * 48 + 1], *out = text;
    if (n < 0) {
        trace_number(call, n);
        return;
    }
    if (n > 48) {
        unsigned sum = 0;
        for (long i = 0; i < n; i++)
            sum = sum * 31 + octets[i];
        trace("%s = %ld (sum %08x)", call, n, sum);
        return;
    }
    for (long i = 0; i < n; i++)
        if (octets[i] >= ' ' && octets[i] < 127)
            *out++ = octets[i];
        else
            out += sprintf(out, "\\x%02x", octets[i]);
    *out = 0;
    trace("%s = %ld \"%s\"%s", call, n, text, signal_text());
}

/* A call whose result is a number. */
#define T(...)                                                                                     \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long value_ = (long)(__VA_ARGS__);                                                         \
        trace_number(#__VA_ARGS__, value_);                                                        \
        value_;                                                                                    \
    })
/* A call whose result is a descriptor. */
#define FD(...)                                                                                    \
    ({                                                                                             \
        errno = 0;                                                                                 \
        int fd_ = (__VA_ARGS__);                                                                   \
        trace_descriptor(#__VA_ARGS__, fd_);                                                       \
        fd_;                                                                                       \
    })
#define READ(fd, n)                                                                                \
    ({                                                                                             \
        static char data_[(n) + 1];                                                                \
        errno = 0;                                                                                 \
        long got_ = read(fd, data_, n);                                                            \
        trace_data("read(" #fd ", " #n ")", got_, data_);                                          \
        got_;                                                                                      \
    })
#define RECV(fd, n, flags)                                                                         \
    ({                                                                                             \
        static char data_[(n) + 1];                                                                \
        errno = 0;                                                                                 \
        long got_ = recv(fd, data_, n, flags);                                                     \
        trace_data("recv(" #fd ", " #n ", " #flags ")", got_, data_);                              \
        got_;                                                                                      \
    })
/* write() of a text. */
#define WRITE(fd, text)                                                                            \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long put_ = write(fd, text, sizeof text - 1);                                              \
        trace_number("write(" #fd ", " #text ")", put_);                                           \
        put_;                                                                                      \
    })
#define SEND(fd, text, flags)                                                                      \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long put_ = send(fd, text, sizeof text - 1, flags);                                        \
        trace_number("send(" #fd ", " #text ", " #flags ")", put_);                                \
        put_;                                                                                      \
    })

/* ---- set-up steps: silent, and fatal when they fail ------------------------------------------- */

UNUSED static long must_(const char *call, long value, int line)
{
    if (value < 0) {
        trace("SET-UP FAILED in line %d: %s: %s", line, call, errno_name(errno));
        exit(2);
    }
    return value;
}
#define MUST(...) must_(#__VA_ARGS__, (long)(__VA_ARGS__), __LINE__)

/* ---- time ----------------------------------------------------------------------------------- */

UNUSED static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

UNUSED static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* Waits until `condition` holds; says so in the trace when it does not within the deadline. */
#define AWAIT_TRUE(condition)                                                                      \
    ({                                                                                             \
        long end_ = now_ms() + DEADLINE_MS;                                                        \
        int held_;                                                                                 \
        while (!(held_ = !!(condition)) && now_ms() < end_)                                        \
            pause_ms(2);                                                                           \
        if (!held_)                                                                                \
            trace("await %s: TIMED OUT", #condition);                                              \
        held_;                                                                                     \
    })

/* How long a call took, in classes that do not depend on the machine's load. */
UNUSED static void trace_waited(long since_ms, long at_least_ms)
{
    trace("-- waited %s", now_ms() - since_ms + 1 >= at_least_ms ? "as long as asked" : "too short");
}

/* ---- addresses ------------------------------------------------------------------------------ */

struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage ss;
    };
    socklen_t len;
};

/* The two address arguments of bind() and connect(). */
#define AT(address) &(address).sa, (address).len

UNUSED static struct addr v4(const char *host, int port)
{
    struct addr a;
    memset(&a, 0, sizeof a);
    a.v4.sin_family = AF_INET;
    a.v4.sin_port = htons(port);
    inet_pton(AF_INET, host, &a.v4.sin_addr);
    a.len = sizeof a.v4;
    return a;
}

UNUSED static struct addr v6(const char *host, int port)
{
    struct addr a;
    memset(&a, 0, sizeof a);
    a.v6.sin6_family = AF_INET6;
    a.v6.sin6_port = htons(port);
    inet_pton(AF_INET6, host, &a.v6.sin6_addr);
    a.len = sizeof a.v6;
    return a;
}

UNUSED static int port_of(const struct addr *a)
{
    return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

UNUSED static struct addr local(int fd)
{
    struct addr a = { .len = sizeof a.ss };
    MUST(getsockname(fd, &a.sa, &a.len));
    return a;
}

/* The same address with another port. */
UNUSED static struct addr with_port(struct addr a, int port)
{
    if (a.sa.sa_family == AF_INET6)
        a.v6.sin6_port = htons(port);
    else
        a.v4.sin_port = htons(port);
    return a;
}

static const char *port_name(int port)
{
    static int known[64], count;
    static char text[4][16];
    static int which;
    int i = 0;
    if (!port)
        return "0";
    while (i < count && known[i] != port)
        i++;
    if (i == count && count < 64)
        known[count++] = port;
    which = (which + 1) % 4;
    snprintf(text[which], sizeof text[which], "P%d", i + 1);
    return text[which];
}

UNUSED static const char *addr_text(const struct addr *a)
{
    static char text[4][80];
    static int which;
    char host[INET6_ADDRSTRLEN] = "?";
    which = (which + 1) % 4;
    if (a->len == 0)
        snprintf(text[which], sizeof text[which], "(none)");
    else if (a->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(text[which], sizeof text[which], "%s:%s", host, port_name(port_of(a)));
    } else if (a->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(text[which], sizeof text[which], "[%s]:%s", host, port_name(port_of(a)));
    } else
        snprintf(text[which], sizeof text[which], "family %d", a->sa.sa_family);
    return text[which];
}

UNUSED static void trace_name(const char *call, int result, const struct addr *a)
{
    if (result < 0)
        trace_number(call, result);
    else
        trace("%s = %s, length %u", call, addr_text(a), a->len);
}

#define SOCKNAME(fd)                                                                               \
    ({                                                                                             \
        struct addr a_ = { .len = sizeof a_.ss };                                                  \
        errno = 0;                                                                                 \
        trace_name("getsockname(" #fd ")", getsockname(fd, &a_.sa, &a_.len), &a_);                 \
    })
#define PEERNAME(fd)                                                                               \
    ({                                                                                             \
        struct addr a_ = { .len = sizeof a_.ss };                                                  \
        errno = 0;                                                                                 \
        trace_name("getpeername(" #fd ")", getpeername(fd, &a_.sa, &a_.len), &a_);                 \
    })
#define NAMES(fd) (SOCKNAME(fd), PEERNAME(fd))

/* A port that is free on every address now and that no ephemeral choice will take meanwhile. */
UNUSED static int free_port(void)
{
    static unsigned seed; /* kept, so that one process gets no port twice */
    if (!seed)
        seed = getpid() * 2654435761u ^ (unsigned)time(NULL) ^ (unsigned)now_ms() << 8;
    for (int i = 0; i < 1000; i++) {
        seed = seed * 1103515245 + 12345;
        int port = 10000 + (seed >> 8) % 20000;
        struct addr any = v6("::", port);
        int fd = MUST(socket(AF_INET6, SOCK_STREAM, 0));
        int free = bind(fd, AT(any)) == 0;
        close(fd);
        if (free)
            return port;
    }
    trace("SET-UP FAILED: no free port");
    exit(2);
}

/* ---- readiness ------------------------------------------------------------------------------ */

#define ALL_BITS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

UNUSED static unsigned poll_bits(int fd)
{
    struct pollfd p = { .fd = fd, .events = ALL_BITS };
    int saved = errno;
    poll(&p, 1, 0);
    errno = saved;
    return (unsigned short)p.revents;
}

/* Waits until poll() says all of `wanted`; prints what it says then. */
#define AWAIT(fd, wanted)                                                                          \
    ({                                                                                             \
        long end_ = now_ms() + DEADLINE_MS;                                                        \
        while ((poll_bits(fd) & (wanted)) != (wanted) && now_ms() < end_)                          \
            pause_ms(1);                                                                           \
        trace("await poll(%s, %s) = %s", #fd, #wanted, bit_names(poll_bits(fd)));                  \
    })
#define POLL(fd) trace("poll(%s) = %s", #fd, bit_names(poll_bits(fd)))

/* Returns when whoever serves the socket has seen all that was done to it: on a crowded machine
 * that may take longer than SETTLED_MS. */
static void let_it_be_served(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    int saved = errno;
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    pause_ms(5);
    errno = saved;
}

UNUSED static unsigned settled_bits(int fd)
{
    unsigned bits = poll_bits(fd);
    long since = now_ms(), end = since + DEADLINE_MS;
    while (now_ms() < end) {
        pause_ms(5);
        int is_quiet = now_ms() - since >= SETTLED_MS;
        if (is_quiet)
            let_it_be_served(fd);
        if (poll_bits(fd) != bits) {
            bits = poll_bits(fd);
            since = now_ms();
        } else if (is_quiet) {
            break;
        }
    }
    return bits;
}
/* What poll() says once nothing changes any more. */
#define SETTLE(fd) trace("settled poll(%s) = %s", #fd, bit_names(settled_bits(fd)))

/* Makes `fd` non-blocking and writes until neither end's buffers take more; how much they took. */
UNUSED static long fill_up(int fd)
{
    static char block[1 << 16];
    long total = 0, n, round;
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    do {
        for (round = 0; (n = write(fd, block, sizeof block)) > 0; round += n)
            ;
        total += round;
        settled_bits(fd);
    } while (round > 0);
    return total;
}

UNUSED static int queued(int fd, unsigned long request)
{
    int n = -1;
    int saved = errno;
    ioctl(fd, request, &n);
    errno = saved;
    return n;
}
/* Waits until `n` octets can be read at once. */
#define AWAIT_OCTETS(fd, n) AWAIT_TRUE(queued(fd, FIONREAD) >= (n))
/* Waits until the peer's TCP has acknowledged everything. */
#define AWAIT_ACKED(fd) AWAIT_TRUE(queued(fd, SIOCOUTQ) == 0)

#define IOCTL(fd, request)                                                                         \
    ({                                                                                             \
        int n_ = -1;                                                                               \
        errno = 0;                                                                                 \
        int r_ = ioctl(fd, request, &n_);                                                          \
        if (r_ < 0)                                                                                \
            trace_number("ioctl(" #fd ", " #request ")", r_);                                      \
        else                                                                                       \
            trace("ioctl(%s, %s) = %d", #fd, #request, n_);                                        \
    })

/* ---- options -------------------------------------------------------------------------------- */

UNUSED static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

UNUSED static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

#define GET(fd, level, name)                                                                       \
    ({                                                                                             \
        int value_ = -1;                                                                           \
        socklen_t len_ = sizeof value_;                                                            \
        errno = 0;                                                                                 \
        if (getsockopt(fd, level, name, &value_, &len_) < 0)                                       \
            trace_number("get(" #fd ", " #name ")", -1);                                           \
        else                                                                                       \
            trace("get(%s, %s) = %d, length %u", #fd, #name, value_, len_);                        \
        value_;                                                                                    \
    })
#define SET(fd, level, name, value)                                                                \
    ({                                                                                             \
        errno = 0;                                                                                 \
        trace_number("set(" #fd ", " #name ", " #value ")", set_int(fd, level, name, value));      \
    })
#define SOERR(fd)                                                                                  \
    ({                                                                                             \
        int value_ = get_int(fd, SOL_SOCKET, SO_ERROR);                                            \
        trace("SO_ERROR(%s) = %s", #fd, value_ == 0 ? "0" : errno_name(value_));                   \
    })

UNUSED static const char *tcp_state(int fd)
{
    static const char *const names[] = {
        "?",          "ESTABLISHED", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
        "CLOSE",      "CLOSE-WAIT",  "LAST-ACK", "LISTEN",   "CLOSING",
    };
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return "?";
    return info.tcpi_state < 12 ? names[info.tcpi_state] : "?";
}
#define STATE(fd) trace("state(%s) = %s", #fd, tcp_state(fd))
#define AWAIT_STATE(fd, name)                                                                      \
    (AWAIT_TRUE(strcmp(tcp_state(fd), name) == 0), trace("state(%s) = %s", #fd, tcp_state(fd)))

UNUSED static void nonblocking(int fd)
{
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

UNUSED static void linger(int fd, int on, int seconds)
{
    struct linger l = { on, seconds };
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
}

UNUSED static void receive_timeout(int fd, int ms)
{
    struct timeval t = { ms / 1000, ms % 1000 * 1000 };
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
}

/* close() that sends RST. */
UNUSED static void reset(int fd)
{
    linger(fd, 1, 0);
    MUST(close(fd));
}

/* ---- sockets in a given state --------------------------------------------------------------- */

UNUSED static int tcp4(void) { return MUST(socket(AF_INET, SOCK_STREAM, 0)); }
UNUSED static int tcp6(void) { return MUST(socket(AF_INET6, SOCK_STREAM, 0)); }

/* A listener; `*at` is where it listens (port 0: any, and filled in). */
UNUSED static int listener_at(struct addr *at, int backlog)
{
    int fd = MUST(socket(at->sa.sa_family, SOCK_STREAM, 0));
    MUST(bind(fd, &at->sa, at->len));
    MUST(listen(fd, backlog));
    *at = local(fd);
    return fd;
}

UNUSED static int listener(struct addr *at)
{
    *at = v4("127.0.0.1", 0);
    return listener_at(at, 16);
}

UNUSED static int connected_to(const struct addr *server)
{
    int fd = MUST(socket(server->sa.sa_family, SOCK_STREAM, 0));
    MUST(connect(fd, &server->sa, server->len));
    return fd;
}

/* A connection: c on the side that connected, s on the side that accepted, l its listener. */
struct pair {
    int c, s, l;
    struct addr server;
};

UNUSED static struct pair pair_at(struct addr server)
{
    struct pair p = { .server = server };
    p.l = listener_at(&p.server, 16);
    p.c = connected_to(&p.server);
    p.s = MUST(accept(p.l, NULL, NULL));
    return p;
}

UNUSED static struct pair tcp_pair(void) { return pair_at(v4("127.0.0.1", 0)); }

/* An address where nobody listens. */
UNUSED static struct addr nobody(void) { return v4("127.0.0.1", free_port()); }

/* A listener that answers no SYN: its accept queue is full. Its address is `*at`. */
UNUSED static int deaf_listener(struct addr *at)
{
    *at = v4("127.0.0.1", 0);
    int fd = listener_at(at, 0);
    connected_to(at);
    AWAIT_TRUE(poll_bits(fd) & POLLIN);
    return fd;
}

/* ---- processes and threads ------------------------------------------------------------------ */

UNUSED static void trace_end(const char *who, int status)
{
    if (WIFSIGNALED(status))
        trace("%s: killed by SIG%s", who, sigabbrev_np(WTERMSIG(status)));
    else
        trace("%s: exit %d", who, WEXITSTATUS(status));
}
#define REAP(pid)                                                                                  \
    ({                                                                                             \
        int status_ = 0;                                                                           \
        MUST(waitpid(pid, &status_, 0));                                                           \
        trace_end(#pid, status_);                                                                  \
    })

/* One process waits until another lets it through. */
struct gate {
    int fd[2];
};
UNUSED static struct gate gate(void)
{
    struct gate g;
    MUST(pipe(g.fd));
    return g;
}
UNUSED static void open_gate(struct gate g) { MUST(write(g.fd[1], "x", 1)); }
UNUSED static void pass_gate(struct gate g)
{
    char x;
    MUST(read(g.fd[0], &x, 1));
}

static long switches_of(int tid, char *state)
{
    char path[64], line[256];
    long switches = -1;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    while (fgets(line, sizeof line, f)) {
        sscanf(line, "State: %c", state);
        sscanf(line, "voluntary_ctxt_switches: %ld", &switches);
    }
    fclose(f);
    return switches;
}

/* Waits until thread `tid` has slept in one and the same call for a while. */
UNUSED static void wait_blocked(int tid)
{
    long end = now_ms() + DEADLINE_MS, since = now_ms(), before = -2;
    while (now_ms() < end) {
        char state = '?';
        long switches = switches_of(tid, &state);
        if (state != 'S' || switches != before) {
            before = switches;
            since = now_ms();
        } else if (now_ms() - since >= 30)
            return;
        pause_ms(3);
    }
    trace("await thread blocked: TIMED OUT");
}

/* Does something in another thread as soon as the calling thread is blocked. */
struct helper {
    pthread_t thread, caller;
    int caller_tid, argument;
    void (*act)(struct helper *);
};

static void *helper_main(void *argument)
{
    struct helper *h = argument;
    wait_blocked(h->caller_tid);
    h->act(h);
    return NULL;
}

UNUSED static void when_blocked(struct helper *h, void (*act)(struct helper *), int argument)
{
    sigset_t all, old;
    h->caller = pthread_self();
    h->caller_tid = gettid();
    h->argument = argument;
    h->act = act;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&h->thread, NULL, helper_main, h)) {
        trace("SET-UP FAILED: pthread_create");
        exit(2);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

UNUSED static void helper_done(struct helper *h) { pthread_join(h->thread, NULL); }

UNUSED static void on_signal(int number, int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_signal;
    action.sa_flags = flags;
    MUST(sigaction(number, &action, NULL));
}

/* ---- main ----------------------------------------------------------------------------------- */

/* Programs that start themselves again (exec, posix_spawn, system) come back in here. */
__attribute__((weak)) int trace_again(int argc, char **argv);
static char *trace_self;

int main(int argc, char **argv)
{
    trace_self = argv[0];
    if (argc > 1 && strcmp(argv[1], "--again") == 0)
        return trace_again(argc - 2, argv + 2);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (struct trace_case *c = trace_cases; c; c = c->next)
            puts(c->name);
        return 0;
    }
    for (struct trace_case *c = trace_cases; c && argc == 2; c = c->next)
        if (strcmp(c->name, argv[1]) == 0) {
            on_signal(SIGPIPE, SA_RESTART);
            alarm(CASE_LIMIT_S);
            c->run(c->argument);
            trace("end");
            exit(0);
        }
    fprintf(stderr, "usage: %s CASE | --list\n", argv[0]);
    return 2;
}

#endif
