/* What never passes a hook: stdio, sendfile, splice, vectors, syscall(). */
#include "trace.h"

CASE(stdio_lines)
{
    struct pair p = tcp_pair();
    char line[64] = "";
    FILE *out = fdopen(p.c, "w"), *in = fdopen(p.s, "r");
    T(fprintf(out, "one %d\ntwo\n", 1));
    T(fflush(out));
    trace("%s", fgets(line, sizeof line, in) ? line : "EOF");
    trace("%s", fgets(line, sizeof line, in) ? line : "EOF");
    T(fclose(out));
    trace("%s", fgets(line, sizeof line, in) ? line : "EOF");
    trace("feof %d, ferror %d", !!feof(in), ferror(in));
    T(fclose(in));
}

CASE(stdio_reset)
{
    struct pair p = tcp_pair();
    char line[64] = "";
    FILE *in = fdopen(p.s, "r");
    T(write(p.c, "part", 4));
    AWAIT_OCTETS(p.s, 4);
    reset(p.c);
    AWAIT(p.s, POLLERR);
    errno = 0;
    char *got = fgets(line, sizeof line, in);
    trace("fgets: %s %s", got ? got : "none", errno_name(errno));
    trace("feof %d, ferror %d", !!feof(in), !!ferror(in));
}

CASE(stdio_write_after_reset)
{
    struct pair p = tcp_pair();
    FILE *out = fdopen(p.s, "w");
    reset(p.c);
    AWAIT(p.s, POLLERR);
    T(fprintf(out, "x"));
    T(fflush(out));
    T(fflush(out));
}

CASE(dprintf_and_getline)
{
    struct pair p = tcp_pair();
    char *line = NULL;
    size_t room = 0;
    T(dprintf(p.c, "%s %d\n", "dprintf", 42));
    T(close(p.c));
    FILE *in = fdopen(p.s, "r");
    T(getline(&line, &room, in));
    trace("%s", line);
    T(getline(&line, &room, in));
}

CASE(stdio_both_ways_on_one_descriptor)
{
    struct pair p = tcp_pair();
    FILE *f = fdopen(p.c, "r+");
    char line[32] = "";
    setvbuf(f, NULL, _IONBF, 0);
    T(fputs("question\n", f));
    AWAIT_OCTETS(p.s, 9);
    READ(p.s, 16);
    WRITE(p.s, "answer\n");
    trace("%s", fgets(line, sizeof line, f) ? line : "EOF");
}

/* A file with `n` octets, already unlinked. */
static int file_of(size_t n)
{
    char name[] = "/tmp/parity-XXXXXX";
    int fd = MUST(mkstemp(name));
    unlink(name);
    for (size_t i = 0; i < n; i++) {
        char c = 'a' + i % 26;
        MUST(write(fd, &c, 1));
    }
    MUST(lseek(fd, 0, SEEK_SET));
    return fd;
}

CASE(sendfile_to_a_connection)
{
    struct pair p = tcp_pair();
    int file = file_of(3000);
    off_t at = 10;
    T(sendfile(p.c, file, NULL, 1000));
    T(sendfile(p.c, file, &at, 500));
    trace("offset %ld", (long)at);
    T(sendfile(p.c, file, NULL, 5000));
    T(sendfile(p.c, file, NULL, 5000));
    AWAIT_OCTETS(p.s, 3500);
    READ(p.s, 4000);
}

CASE(sendfile_from_a_connection)
{
    struct pair p = tcp_pair();
    int file = file_of(0);
    MUST(write(p.c, "abc", 3));
    AWAIT_OCTETS(p.s, 3);
    T(sendfile(file, p.s, NULL, 3));
}

CASE(sendfile_after_the_end)
{
    struct pair p = tcp_pair();
    int file = file_of(100);
    MUST(shutdown(p.c, SHUT_WR));
    T(sendfile(p.c, file, NULL, 100));
    trace("signal:%s", signal_text());
    T(sendfile(tcp4(), file, NULL, 100));
    trace("signal:%s", signal_text());
}

CASE(sendfile_nonblocking_fills_up)
{
    struct pair p = tcp_pair();
    int file = file_of(100);
    MUST(ftruncate(file, 1 << 26));
    nonblocking(p.c);
    long n, rounds = 0;
    while ((n = sendfile(p.c, file, NULL, 1 << 20)) > 0 || (settled_bits(p.c) & POLLOUT))
        rounds++;
    fill_up(p.c);
    trace("some went: %s", rounds > 0 ? "yes" : "no");
    errno = 0;
    trace_number("sendfile", sendfile(p.c, file, NULL, 1 << 20));
}

CASE(splice_both_ways)
{
    struct pair p = tcp_pair();
    int pipes[2];
    MUST(pipe(pipes));
    MUST(write(p.c, "abcdef", 6));
    AWAIT_OCTETS(p.s, 6);
    T(splice(p.s, NULL, pipes[1], NULL, 4, 0));
    READ(pipes[0], 8);
    T(splice(p.s, NULL, pipes[1], NULL, 8, 0));
    READ(pipes[0], 8);
    nonblocking(p.s);
    T(splice(p.s, NULL, pipes[1], NULL, 8, 0));
    MUST(write(pipes[1], "through", 7));
    T(splice(pipes[0], NULL, p.s, NULL, 7, 0));
    AWAIT_OCTETS(p.c, 7);
    READ(p.c, 16);
    MUST(close(p.c));
    AWAIT(p.s, POLLRDHUP);
    T(splice(p.s, NULL, pipes[1], NULL, 8, 0));
}

CASE(vectors)
{
    struct pair p = tcp_pair();
    char a[2], b[3], c[4] = "";
    struct iovec out[] = { { "ab", 2 }, { "", 0 }, { "cdefg", 5 } };
    struct iovec in[] = { { a, 2 }, { b, 3 }, { c, 3 } };
    T(writev(p.c, out, 3));
    AWAIT_OCTETS(p.s, 7);
    T(readv(p.s, in, 3));
    trace("%.2s %.3s %.2s", a, b, c);
    T(writev(p.c, out, 0));
    T(readv(p.s, in, 0));
    T(writev(p.c, out, 1025));
    T(pwritev2(p.c, out, 1, -1, 0));
    AWAIT_OCTETS(p.s, 2);
    T(preadv2(p.s, in, 1, -1, 0));
    T(pwrite(p.c, "x", 1, 0));
}

/* preadv2() and pwritev2() with the offset -1 are readv() and writev(). */
#define PREADV2(fd, offset, flags) T(preadv2(fd, &(struct iovec){ some, 4 }, 1, offset, flags))
#define PWRITEV2(fd, offset, flags) T(pwritev2(fd, &(struct iovec){ some, 4 }, 1, offset, flags))
static char some[8] = "some";

CASE(vectors_at_an_offset)
{
    struct pair p = tcp_pair();
    int fd = tcp4();
    PWRITEV2(p.c, -1, 0);
    AWAIT_OCTETS(p.s, 4);
    NOTE("a socket has no offsets, and not every flag");
    for (int offset = -2; offset < 2; offset++) {
        if (offset == -1)
            continue;
        PREADV2(p.s, offset, 0);
        PWRITEV2(p.s, offset, 0);
        PREADV2(fd, offset, 0);
        PWRITEV2(fd, offset, 0);
    }
    PREADV2(p.s, -1, 0x40000000);
    PWRITEV2(p.s, -1, 0x40000000);
    PREADV2(fd, -1, 0x40000000);
    PWRITEV2(fd, -1, 0x40000000);
    PREADV2(p.s, -1, RWF_HIPRI);
    NOTE("without waiting");
    PREADV2(p.s, -1, RWF_NOWAIT);
    PWRITEV2(p.s, -1, RWF_NOWAIT | RWF_SYNC | RWF_APPEND);
    fill_up(p.s);
    MUST(fcntl(p.s, F_SETFL, 0));
    PWRITEV2(p.s, -1, RWF_NOWAIT);
    NOTE("after the end");
    MUST(shutdown(p.c, SHUT_WR));
    AWAIT(p.s, POLLRDHUP);
    PREADV2(p.s, -1, 0);
    PWRITEV2(p.c, -1, 0);
}

CASE(vectors_at_an_offset_after_a_reset)
{
    for (int round = 0; round < 2; round++) {
        struct pair p = tcp_pair();
        reset(p.s);
        AWAIT(p.c, POLLHUP);
        for (int again = 0; again < 2; again++)
            if (round)
                PREADV2(p.c, -1, 0);
            else
                PWRITEV2(p.c, -1, 0);
        PWRITEV2(p.c, -1, 0);
        PREADV2(p.c, -1, 0);
    }
}

CASE(vectors_at_an_offset_without_a_connection)
{
    struct addr at;
    int fd = tcp4(), l = listener(&at);
    PREADV2(fd, -1, 0);
    PWRITEV2(fd, -1, 0);
    connected_to(&at);
    AWAIT(l, POLLIN);
    PREADV2(l, -1, 0);
    PREADV2(l, -1, RWF_NOWAIT);
    PWRITEV2(l, -1, 0);
    NOTE("the connection is still there");
    FD(accept(l, NULL, NULL));
}

CASE(raw_system_calls_that_move_octets_without_a_connection)
{
    struct addr at;
    struct iovec part = { some, 4 };
    int fd = tcp4(), l = listener(&at), pipes[2];
    MUST(pipe(pipes));
    MUST(write(pipes[1], "some", 4));
    connected_to(&at);
    AWAIT(l, POLLIN);
    for (int i = 0; i < 2; i++, fd = l) {
        T(syscall(SYS_preadv2, fd, &part, 1L, -1L, 0L, 0));
        T(syscall(SYS_pwritev2, fd, &part, 1L, -1L, 0L, 0));
        T(syscall(SYS_splice, fd, NULL, pipes[1], NULL, 4L, 0));
        T(syscall(SYS_splice, pipes[0], NULL, fd, NULL, 4L, 0));
    }
    FD(accept(l, NULL, NULL));
}

CASE(partial_reads)
{
    struct pair p = tcp_pair();
    MUST(write(p.c, "abc", 3));
    MUST(write(p.c, "def", 3));
    AWAIT_OCTETS(p.s, 6);
    NOTE("a stream has no message borders");
    READ(p.s, 4);
    READ(p.s, 4);
}

CASE(large_transfer_both_ways)
{
    struct pair p = tcp_pair();
    static unsigned char out[1 << 20], in[1 << 20];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = i * 31 + (i >> 9);
    pid_t child = fork();
    if (child == 0) {
        long n;
        close(p.c);
        while ((n = read(p.s, in, 10000)) > 0)
            for (long at = 0; at < n;)
                at += MUST(write(p.s, in + at, n - at));
        _exit(0);
    }
    MUST(close(p.s));
    size_t sent = 0, got = 0;
    nonblocking(p.c);
    long end = now_ms() + 4 * DEADLINE_MS;
    while (got < sizeof in && now_ms() < end) {
        struct pollfd f = { .fd = p.c, .events = POLLIN | (sent < sizeof out ? POLLOUT : 0) };
        poll(&f, 1, 1000);
        long n;
        if (sent < sizeof out && (n = write(p.c, out + sent, sizeof out - sent)) > 0)
            sent += n;
        if ((n = read(p.c, in + got, sizeof in - got)) > 0)
            got += n;
    }
    trace("sent %zu, got %zu, %s", sent, got, memcmp(in, out, sizeof out) ? "different" : "equal");
    MUST(shutdown(p.c, SHUT_WR));
    REAP(child);
    AWAIT(p.c, POLLHUP);
    READ(p.c, 8);
}

CASE(many_small_writes)
{
    struct pair p = tcp_pair();
    MUST(set_int(p.c, IPPROTO_TCP, TCP_NODELAY, 1));
    for (int i = 0; i < 1000; i++) {
        char c = 'a' + i % 26;
        MUST(write(p.c, &c, 1));
    }
    AWAIT_OCTETS(p.s, 1000);
    READ(p.s, 1000);
}

CASE(buffers_fill_up_and_drain)
{
    struct pair p = tcp_pair();
    static char block[100000];
    long n, sent = 0, got = 0;
    nonblocking(p.c);
    nonblocking(p.s);
    for (int round = 0; round < 3; round++) {
        sent += fill_up(p.c);
        errno = 0;
        trace_number("write", write(p.c, block, 1));
        POLL(p.c);
        long end = now_ms() + DEADLINE_MS;
        while (got < sent && now_ms() < end)
            if ((n = read(p.s, block, sizeof block)) > 0)
                got += n;
        trace("everything came: %s", got == sent ? "yes" : "no");
        AWAIT(p.c, POLLOUT);
        AWAIT_ACKED(p.c);
    }
}

CASE(raw_system_calls)
{
    struct addr server;
    int l = listener(&server);
    int c = FD(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
    T(syscall(SYS_connect, c, &server.sa, server.len));
    int s = FD(syscall(SYS_accept4, l, NULL, NULL, SOCK_CLOEXEC));
    T(syscall(SYS_write, c, "abc", 3L));
    AWAIT_OCTETS(s, 3);
    char x[8] = "";
    T(syscall(SYS_read, s, x, 8L));
    trace("%s", x);
    T(syscall(SYS_sendto, c, "def", 3L, 0, NULL, 0));
    AWAIT_OCTETS(s, 3);
    T(syscall(SYS_recvfrom, s, x, 8L, MSG_PEEK, NULL, NULL));
    T(syscall(SYS_shutdown, c, SHUT_WR));
    struct addr a = { .len = sizeof a.ss };
    T(syscall(SYS_getpeername, c, &a.sa, &a.len));
    trace("%s", addr_text(&a));
    T(syscall(SYS_getpid) == getpid());
    T(syscall(99999));
}

CASE(io_uring_is_absent_or_works)
{
    /* A program must either get ENOSYS or a ring: both make it go on. */
    char parameters[120] = { 0 };
    long r = syscall(SYS_io_uring_setup, 0, parameters);
    trace("setup with bad arguments fails: %d", r < 0);
}

CASE(sockatmark_and_isfdtype)
{
    struct pair p = tcp_pair();
    T(sockatmark(p.s));
    T(isfdtype(p.s, S_IFSOCK));
    T(isfdtype(1, S_IFSOCK));
}

CASE(proc_says_it_is_a_socket)
{
    int fd = tcp4();
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) < 0)
        trace("no link");
    *strchrnul(target, '[') = 0;
    trace("%s", target);
}
