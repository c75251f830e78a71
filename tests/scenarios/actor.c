/*
 * Actor: makes the socket calls that it reads as lines from stdin, one call a line, and answers
 * each with one line: what the call returned, or the name of the errno.
 *
 * A scenario needs programs whose calls happen in a given order; two actors and a test that tells
 * each in turn what to do are that. Sockets have names, not numbers: "connect c 127.0.0.1:80".
 * An answer ends in " SIGPIPE" when the call raised that signal. `fork` makes a child that holds
 * the same descriptors; "child ..." lets the child make the call.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long `poll` waits for what it is asked for. */
#define DEADLINE_MS 8000

/* Names are a letter, or a letter and a digit: "c", "s", "c7". */
#define NAMES (('z' - 'a' + 1) * 11)

struct named {
    int fd;
    size_t sent, read; /* position in the pattern */
};

static struct named table[NAMES];
static volatile sig_atomic_t sigpipes;
static FILE *child;

static void on_sigpipe(int signal)
{
    (void)signal;
    sigpipes++;
}

static struct named *named(const char *name)
{
    if (!name || name[0] < 'a' || name[0] > 'z' || (name[1] && (name[1] < '0' || name[1] > '9'))) {
        fprintf(stderr, "actor: '%s' is not a name of a socket\n", name ? name : "");
        exit(2);
    }
    return &table[(name[0] - 'a') * 11 + (name[1] ? name[1] - '0' + 1 : 0)];
}

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    char ip[32];
    int port;
    if (!text || sscanf(text, "%31[0-9.]:%d", ip, &port) != 2 || !inet_aton(ip, &a.sin_addr)) {
        fprintf(stderr, "actor: '%s' is not ADDRESS:PORT\n", text ? text : "");
        exit(2);
    }
    a.sin_port = htons(port);
    return a;
}

static void say_address(const struct sockaddr_in *a)
{
    printf("%s:%d", inet_ntoa(a->sin_addr), ntohs(a->sin_port));
}

/* The answer of a call that returns `n` and sets errno. */
static void say(ssize_t n)
{
    if (n < 0)
        printf("%s", strerrorname_np(errno));
    else
        printf("%zd", n);
}

static char octet_at(size_t position) { return (char)(position * 131 + (position >> 8)); }

static size_t number(const char *text) { return text ? strtoul(text, NULL, 10) : 0; }

/* Writes `count` octets of the pattern, or with MSG_DONTWAIT as many as are taken. */
static void write_pattern(struct named *s, size_t count, int flags)
{
    static char out[65536];
    size_t done = 0;
    ssize_t n = 0;
    while (done < count) {
        size_t piece = count - done < sizeof out ? count - done : sizeof out;
        for (size_t i = 0; i < piece; i++)
            out[i] = octet_at(s->sent + i);
        if ((n = send(s->fd, out, piece, flags)) < 0)
            break;
        s->sent += n;
        done += n;
    }
    say(n < 0 && !(flags && errno == EAGAIN) ? n : (ssize_t)done);
}

/* Reads until `count` octets of the pattern or the end have come. */
static void read_pattern(struct named *s, size_t count)
{
    static char in[65536];
    size_t done = 0;
    ssize_t n = 1;
    while (done < count && n > 0) {
        n = read(s->fd, in, count - done < sizeof in ? count - done : sizeof in);
        for (ssize_t i = 0; i < n; i++, done++, s->read++)
            if (in[i] != octet_at(s->read)) {
                printf("octet %zu is wrong", s->read);
                return;
            }
    }
    say(n < 0 ? n : (ssize_t)done);
}

static void read_text(int fd, size_t count)
{
    char in[4096];
    ssize_t n = read(fd, in, count && count < sizeof in ? count : sizeof in);
    say(n);
    if (n > 0)
        printf(" %.*s", (int)n, in);
}

/* Reads, whatever it is, until read() does not return octets any more: how many, then what. */
static void read_to_end(int fd)
{
    static char in[65536];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, in, sizeof in)) > 0)
        total += n;
    printf("%zu ", total);
    say(n);
}

/* Waits for one of the events, named as poll(2) names them without POLL, or for ERR or HUP. */
static void await(int fd, const char *events)
{
    struct pollfd p = { .fd = fd };
    if (events && strstr(events, "IN"))
        p.events |= POLLIN;
    if (events && strstr(events, "OUT"))
        p.events |= POLLOUT;
    if (events && strstr(events, "RDHUP"))
        p.events |= POLLRDHUP;
    int n = poll(&p, 1, DEADLINE_MS);
    if (n <= 0)
        printf("%s", n == 0 ? "TIMED OUT" : strerrorname_np(errno));
    else
        printf("%#x", p.revents);
}

static int option(int fd, int name, int value)
{
    return setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
}

/* Calls that make, name and end sockets. 0: not one of them. */
static int call_control(const char *call, struct named *s, const char *a, const char *b)
{
    struct sockaddr_in at;
    socklen_t length = sizeof at;
    if (strcmp(call, "socket") == 0) {
        *s = (struct named){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
        say(s->fd < 0 ? -1 : 0);
    } else if (strcmp(call, "bind") == 0) {
        at = address(a);
        say(bind(s->fd, (struct sockaddr *)&at, sizeof at));
    } else if (strcmp(call, "listen") == 0) {
        say(listen(s->fd, a ? (int)number(a) : SOMAXCONN));
    } else if (strcmp(call, "connect") == 0) {
        at = address(a);
        say(connect(s->fd, (struct sockaddr *)&at, sizeof at));
    } else if (strcmp(call, "accept") == 0) {
        struct named *new = named(a);
        *new = (struct named){ .fd = accept(s->fd, NULL, NULL) };
        say(new->fd < 0 ? -1 : 0);
    } else if (strcmp(call, "name") == 0) {
        if (getsockname(s->fd, (struct sockaddr *)&at, &length) < 0)
            say(-1);
        else
            say_address(&at);
    } else if (strcmp(call, "reuse") == 0) {
        say(option(s->fd, SO_REUSEADDR, 1));
    } else if (strcmp(call, "rcvbuf") == 0) {
        say(option(s->fd, SO_RCVBUF, (int)number(a)));
    } else if (strcmp(call, "sndbuf") == 0) {
        say(option(s->fd, SO_SNDBUF, (int)number(a)));
    } else if (strcmp(call, "linger") == 0) {
        struct linger l = { .l_onoff = (int)number(a), .l_linger = (int)number(b) };
        say(setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
    } else if (strcmp(call, "keepalive") == 0) {
        say(option(s->fd, SO_KEEPALIVE, 1));
    } else if (strcmp(call, "user_timeout_ms") == 0) {
        unsigned ms = number(a);
        say(setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms));
    } else if (strcmp(call, "shutdown") == 0) {
        say(shutdown(s->fd, strcmp(a, "WR") == 0 ? SHUT_WR : strcmp(a, "RD") ? SHUT_RDWR : SHUT_RD));
    } else if (strcmp(call, "close") == 0) {
        say(close(s->fd));
    } else {
        return 0;
    }
    return 1;
}

/* Calls that move data. 0: not one of them. */
static int call_data(const char *call, struct named *s, const char *a)
{
    if (strcmp(call, "read") == 0)
        read_text(s->fd, number(a));
    else if (strcmp(call, "read_to_end") == 0)
        read_to_end(s->fd);
    else if (strcmp(call, "write") == 0)
        say(write(s->fd, a, strlen(a)));
    else if (strcmp(call, "poll") == 0)
        await(s->fd, a);
    else if (strcmp(call, "write_pattern") == 0)
        write_pattern(s, number(a), 0);
    else if (strcmp(call, "write_what_fits") == 0)
        write_pattern(s, number(a), MSG_DONTWAIT);
    else if (strcmp(call, "read_pattern") == 0)
        read_pattern(s, number(a));
    else
        return 0;
    return 1;
}

static void perform(char *line)
{
    char *call = strtok(line, " \n"), *name = strtok(NULL, " \n");
    char *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
    if (!call)
        return;
    sigpipes = 0;
    if (!call_control(call, named(name), a, b) && !call_data(call, named(name), a)) {
        fprintf(stderr, "actor: no call '%s'\n", call);
        exit(2);
    }
    printf("%s\n", sigpipes ? " SIGPIPE" : "");
    fflush(stdout);
}

/* A child with copies of all descriptors, which makes the calls that come through a pipe. */
static FILE *start_child(void)
{
    int ends[2];
    if (pipe(ends) < 0)
        exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[0], 0);
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    close(ends[0]);
    printf("%d\n", (int)pid);
    fflush(stdout);
    return fdopen(ends[1], "w");
}

int main(void)
{
    char line[4096];
    size_t length = 0;
    signal(SIGPIPE, on_sigpipe);
    signal(SIGCHLD, SIG_IGN);
    for (size_t i = 0; i < NAMES; i++)
        table[i].fd = -1;
    /* read() by the octet: what stdio had read ahead would be the child's too. */
    while (read(0, line + length, 1) == 1) {
        if (line[length] != '\n' && length + 2 < sizeof line) {
            length++;
            continue;
        }
        line[length + 1] = '\0';
        length = 0;
        if (strcmp(line, "fork\n") == 0) {
            child = start_child();
        } else if (strncmp(line, "child ", 6) == 0 && child) {
            fputs(line + 6, child);
            fflush(child);
        } else {
            perform(line);
        }
    }
    return 0;
}
