/*
 * Makes the socket calls that you type, one a line, and tells what each returned.
 *
 * Build: cc -o calls calls.c
 *   calls             then for example: connect 8080 / write hello / read / shutdown / read / close
 * Two of these show every step of a connection's life, in the order you like: one is told
 * "listen 8080" and "accept", the other "connect 8080". What is told to write is written as it is,
 * without a line end. A call that raises SIGPIPE says so.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "usage: calls\n"
    "  socket           a new one; the first is there without\n"
    "  bind PORT        a port of this machine      reuse         SO_REUSEADDR\n"
    "  listen PORT      reuse, bind and listen      rcvbuf N      SO_RCVBUF\n"
    "  accept           the next connection         linger N      SO_LINGER {1, N}\n"
    "  connect PORT                                 so_error      SO_ERROR\n"
    "  write TEXT       the text                    send N        N octets\n"
    "  read [N]         one read()                  receive N     read() until N octets are there\n"
    "  shutdown         SHUT_WR                     close\n";

/* Before accept() there is the listener; after it, calls are made on the connection. */
static int fd = -1, listener = -1;
static volatile sig_atomic_t broken_pipes;

static void on_broken_pipe(int signal)
{
    (void)signal;
    broken_pipes++;
}

static struct sockaddr_in at(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int option(int name, const void *value, socklen_t length)
{
    return setsockopt(fd, SOL_SOCKET, name, value, length);
}

static ssize_t listen_on(struct sockaddr_in address)
{
    int one = 1;
    if (option(SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, SOMAXCONN) < 0)
        return -1;
    listener = fd;
    return 0;
}

static ssize_t send_octets(size_t count)
{
    static char out[65536];
    size_t sent = 0;
    memset(out, 'x', sizeof out);
    while (sent < count) {
        ssize_t n = write(fd, out, count - sent < sizeof out ? count - sent : sizeof out);
        if (n < 0)
            return -1;
        sent += n;
    }
    return sent;
}

static ssize_t receive_octets(size_t count)
{
    static char in[65536];
    size_t received = 0;
    while (received < count) {
        ssize_t n = read(fd, in, count - received < sizeof in ? count - received : sizeof in);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        received += n;
    }
    return received;
}

/* What the call returned; read()'s octets are in `octets`. -2: there is no such call. */
static ssize_t perform(const char *call, const char *argument, char *octets, size_t size)
{
    struct sockaddr_in address = at(argument);
    int number = atoi(argument);
    int fresh = strcmp(call, "socket") == 0;
    if ((fd < 0 || fresh) && (fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
        return -1;
    if (fresh)
        return 0;
    if (strcmp(call, "bind") == 0)
        return bind(fd, (struct sockaddr *)&address, sizeof address);
    if (strcmp(call, "listen") == 0)
        return listen_on(address);
    if (strcmp(call, "accept") == 0)
        return (fd = accept(listener, NULL, NULL)) < 0 ? -1 : 0;
    if (strcmp(call, "connect") == 0)
        return connect(fd, (struct sockaddr *)&address, sizeof address);
    if (strcmp(call, "write") == 0)
        return write(fd, argument, strlen(argument));
    if (strcmp(call, "send") == 0)
        return send_octets(number);
    if (strcmp(call, "read") == 0)
        return read(fd, octets, number > 0 && (size_t)number < size ? (size_t)number : size);
    if (strcmp(call, "receive") == 0)
        return receive_octets(number);
    if (strcmp(call, "shutdown") == 0)
        return shutdown(fd, SHUT_WR);
    if (strcmp(call, "close") == 0)
        return close(fd);
    if (strcmp(call, "reuse") == 0)
        return option(SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (strcmp(call, "rcvbuf") == 0)
        return option(SO_RCVBUF, &number, sizeof number);
    if (strcmp(call, "linger") == 0)
        return option(SO_LINGER, &(struct linger){ 1, number }, sizeof(struct linger));
    return -2;
}

/* The error that waits at the socket: asking for it takes it away. */
static void say_error(void)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    printf("so_error = %s\n", error ? strerrorname_np(error) : "0");
}

static void answer(char *line)
{
    char octets[4096];
    char *call = strtok(line, " \n"), *argument = strtok(NULL, "\n");
    if (!call)
        return;
    if (strcmp(call, "so_error") == 0) {
        say_error();
        return;
    }
    broken_pipes = 0;
    ssize_t n = perform(call, argument ? argument : "", octets, sizeof octets);
    if (n == -2) {
        fputs(usage, stdout);
        return;
    }
    int error = errno;
    printf("%s%s%s = ", call, argument ? " " : "", argument ? argument : "");
    if (n < 0)
        printf("-1 %s", strerrorname_np(error));
    else
        printf("%zd", n);
    if (n > 0 && strcmp(call, "read") == 0)
        printf(" \"%.*s\"", (int)n, octets);
    printf("%s\n", broken_pipes ? " SIGPIPE" : "");
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    (void)argv;
    if (argc > 1) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, on_broken_pipe);
    while (getline(&line, &size, stdin) > 0) {
        answer(line);
        fflush(stdout);
    }
    free(line);
    return EXIT_SUCCESS;
}
