/* What a library between program and libc gets wrong first: cancellation through its frames,
 * numbers that change hands behind its back, children that share its memory, its own descriptors
 * trampled. */
#include "trace.h"

#include <sys/uio.h>

/* ---- pthread_cancel in every call that waits ------------------------------------------------- */

struct waiting {
    int fd;
    void (*call)(int fd);
    volatile int began, cleaned;
};

static char block[1 << 16];
static struct iovec part = { block, sizeof block };
static struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

static void readv_(int fd) { while (readv(fd, &part, 1) >= 0) {} }
static void preadv2_(int fd) { while (preadv2(fd, &part, 1, -1, 0) >= 0) {} }
static void recv_(int fd) { while (recv(fd, block, 1, 0) >= 0) {} }
static void recvfrom_(int fd) { while (recvfrom(fd, block, 1, 0, NULL, NULL) >= 0) {} }
static void recvmsg_(int fd) { while (recvmsg(fd, &message, 0) >= 0) {} }
static void accept4_(int fd) { while (accept4(fd, NULL, NULL, SOCK_CLOEXEC) >= 0) {} }
static void write_(int fd) { while (write(fd, block, sizeof block) >= 0) {} }
static void writev_(int fd) { while (writev(fd, &part, 1) >= 0) {} }
static void pwritev2_(int fd) { while (pwritev2(fd, &part, 1, -1, 0) >= 0) {} }
static void send_(int fd) { while (send(fd, block, sizeof block, 0) >= 0) {} }
static void sendmsg_(int fd) { while (sendmsg(fd, &message, 0) >= 0) {} }

static void clean(void *argument) { ((struct waiting *)argument)->cleaned = 1; }

static void *wait_in_call(void *argument)
{
    struct waiting *w = argument;
    pthread_cleanup_push(clean, w);
    w->began = 1;
    w->call(w->fd);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(const char *name, void (*call)(int), int fd)
{
    struct waiting w = { .fd = fd, .call = call };
    pthread_t thread;
    void *result = NULL;
    MUST(pthread_create(&thread, NULL, wait_in_call, &w));
    AWAIT_TRUE(w.began);
    /* Waiting or about to: pthread_cancel ends both. */
    pause_ms(100);
    MUST(pthread_cancel(thread));
    MUST(pthread_join(thread, &result));
    trace("%s: cancelled %d, cleaned up %d", name, result == PTHREAD_CANCELED, w.cleaned);
}
#define CANCEL(call, fd) cancel(#call, call##_, fd)

CASE(cancel_in_every_call_that_waits)
{
    struct pair p = tcp_pair();
    CANCEL(readv, p.s);
    CANCEL(preadv2, p.s);
    CANCEL(recv, p.s);
    CANCEL(recvfrom, p.s);
    CANCEL(recvmsg, p.s);
    CANCEL(accept4, p.l);
    NOTE("the connection is whole");
    WRITE(p.c, "abc");
    AWAIT_OCTETS(p.s, 3);
    READ(p.s, 16);
}

CASE(cancel_in_every_call_that_waits_for_room)
{
    CANCEL(write, tcp_pair().c);
    CANCEL(writev, tcp_pair().c);
    CANCEL(pwritev2, tcp_pair().c);
    CANCEL(send, tcp_pair().c);
    CANCEL(sendmsg, tcp_pair().c);
}

/* ---- numbers that change hands where no hook looks ------------------------------------------- */

/* Ends the connection under `fd` without close(), so that the number is free. */
static void vanish(int fd) { MUST(close_range(fd, fd, 0)); }

CASE(number_of_a_connection_becomes_a_file)
{
    struct pair p = tcp_pair();
    vanish(p.s);
    int file = MUST(open("/dev/zero", O_RDWR));
    trace("same number: %d", file == p.s);
    T(read(file, block, 10));
    T(write(file, block, 10));
    T(writev(file, &part, 1));
    T(recv(file, block, 10, 0));
    T(send(file, block, 10, 0));
    T(shutdown(file, SHUT_WR));
    vanish(file);
    file = MUST(open("/dev/null", O_RDWR));
    trace("same number: %d", file == p.s);
    T(read(file, block, 10));
    T(lseek(file, 0, SEEK_SET));
    T(close(file));
    T(close(file));
}

CASE(number_of_a_connection_becomes_a_datagram_socket)
{
    struct pair p = tcp_pair();
    int pair[2];
    vanish(p.s);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    trace("same number: %d", pair[0] == p.s);
    T(write(pair[1], "one", 3));
    T(write(pair[1], "two", 3));
    READ(pair[0], 16);
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    T(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &len));
    trace("own process: %d", credentials.pid == getpid());
    struct sockaddr_un from;
    len = sizeof from;
    T(recvfrom(pair[0], block, 16, 0, (struct sockaddr *)&from, &len));
    T(close(pair[1]));
    T(write(pair[0], "x", 1));
}

CASE(number_of_a_listener_becomes_a_pipe)
{
    struct addr at;
    int l = listener(&at), ends[2];
    vanish(l);
    MUST(pipe(ends));
    trace("same number: %d", ends[0] == l);
    WRITE(ends[1], "pipe");
    READ(ends[0], 16);
    T(accept(ends[0], NULL, NULL));
    T(close(ends[0]));
    T(write(ends[1], "x", 1));
}

CASE(numbers_beyond_any_table)
{
    struct rlimit limit = { 200000, 200000 };
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        NOTE("not allowed");
        return;
    }
    struct pair p = tcp_pair();
    int high = MUST(dup2(p.s, 150000)), listening = MUST(dup2(p.l, 150001));
    MUST(close(p.s));
    MUST(close(p.l));
    WRITE(p.c, "high");
    AWAIT_OCTETS(high, 4);
    READ(high, 16);
    PEERNAME(high);
    WRITE(high, "low");
    AWAIT_OCTETS(p.c, 3);
    READ(p.c, 16);
    int c = connected_to(&p.server);
    (void)c;
    FD(accept(listening, NULL, NULL));
    T(read(listening, block, 1));
    T(close(high));
    AWAIT(p.c, POLLRDHUP);
}

/* Newer than the oldest libc that is around. */
__attribute__((weak)) int pidfd_getfd(int pidfd, int fd, unsigned flags);

static int taken(int pidfd, int fd)
{
    return pidfd_getfd ? pidfd_getfd(pidfd, fd, 0) : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

CASE(numbers_taken_from_a_process)
{
    struct pair p = tcp_pair();
    int self = MUST(syscall(SYS_pidfd_open, getpid(), 0));
    int s = FD(taken(self, p.s)), c = FD(syscall(SYS_pidfd_getfd, self, p.c, 0));
    int l = FD(taken(self, p.l)), fresh = FD(taken(self, tcp4()));
    NAMES(s);
    NAMES(c);
    connected_to(&p.server);
    AWAIT(l, POLLIN);
    T(read(l, block, 1));
    FD(accept(l, NULL, NULL));
    T(write(fresh, "x", 1));
    T(connect(fresh, AT(p.server)));
    MUST(close(p.s));
    reset(s);
    AWAIT(c, POLLHUP);
    WRITE(c, "x");
    WRITE(c, "x");
    NOTE("others");
    T(taken(self, 987));
    T(taken(-1, p.c));
    T(pidfd_getfd ? pidfd_getfd(self, p.c, 1) : (int)syscall(SYS_pidfd_getfd, self, p.c, 1));
    int pipes[2];
    MUST(pipe(pipes));
    int end = FD(taken(self, pipes[1]));
    WRITE(end, "pipe");
    READ(pipes[0], 16);
}

/* ---- children in their parent's memory ------------------------------------------------------- */

CASE(vfork_child_rearranges_every_number)
{
    struct pair p = tcp_pair();
    pid_t child = vfork();
    if (child == 0) {
        struct addr name;
        socklen_t len = sizeof name;
        close(p.s);
        dup2(p.l, p.c);
        dup2(1, p.l);
        getsockname(p.c, &name.sa, &len);
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0));
    NOTE("the parent's are as they were");
    WRITE(p.c, "abc");
    AWAIT_OCTETS(p.s, 3);
    READ(p.s, 16);
    PEERNAME(p.c);
    T(recv(p.l, block, 16, MSG_DONTWAIT));
    int c = connected_to(&p.server);
    (void)c;
    FD(accept(p.l, NULL, NULL));
}

CASE(vfork_child_makes_calls_of_its_own)
{
    struct pair p = tcp_pair();
    pid_t child = vfork();
    if (child == 0) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        int wrong = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
                    connect(fd, AT(p.server)) < 0 || write(fd, "child", 5) != 5;
        _exit(wrong);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    trace("child: %d", WEXITSTATUS(status));
    int s = FD(accept(p.l, NULL, NULL));
    READ(s, 16);
    READ(s, 16);
    WRITE(p.c, "abc");
    AWAIT_OCTETS(p.s, 3);
}

/* ---- the library's own descriptors ----------------------------------------------------------- */

CASE(descriptors_laid_over_everything_not_ours)
{
    struct pair p = tcp_pair();
    int file = MUST(open("/dev/null", O_WRONLY));
    for (int fd = 100; fd < 1200; fd++)
        MUST(dup2(file, fd));
    int c = FD(socket(AF_INET, SOCK_STREAM, 0));
    T(connect(c, AT(p.server)));
    PEERNAME(c);
    int written = 0;
    for (int fd = 100; fd < 1200; fd++)
        written += write(fd, "x", 1);
    trace("still files: %d", written);
    for (int fd = 100; fd < 1200; fd++)
        close(fd);
    PEERNAME(c);
    FD(accept(p.l, NULL, NULL));
}

CASE(table_full_and_yet_options_and_names)
{
    struct pair p = tcp_pair();
    GET(p.c, SOL_SOCKET, SO_KEEPALIVE);
    int fd;
    while ((fd = dup(1)) >= 0) {}
    PEERNAME(p.c);
    GET(p.c, SOL_SOCKET, SO_KEEPALIVE);
    T(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    READ(p.s, 1);
    T(socket(AF_INET, SOCK_STREAM, 0));
}
