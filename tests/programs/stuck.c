/*
 * One call that waits for ever: stuck PORT accept|connect|read|write|poll
 *
 * PORT is an echo server's. Says "waiting" before the call, then what the call gave: the number,
 * or the errno's name.
 */
#include "load.h"

#include <poll.h>

static int listen_with_backlog(int backlog, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = loopback(0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, length) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) < 0)
        die("a listener");
    return fd;
}

/* A connect() that nobody answers: the accept queue of the listener is full. */
static int wait_in_connect(void)
{
    struct sockaddr_in address;
    listen_with_backlog(0, &address);
    connect_to(ntohs(address.sin_port));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    say("waiting");
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static int wait_in_accept(void)
{
    struct sockaddr_in address;
    int fd = listen_with_backlog(5, &address);
    say("waiting");
    return accept(fd, NULL, NULL);
}

/* A listener that never accepts takes what its buffers take. */
static int wait_in_write(void)
{
    static char buffer[1 << 20];
    struct sockaddr_in address;
    ssize_t n;
    listen_with_backlog(5, &address);
    int fd = connect_to(ntohs(address.sin_port));
    say("waiting");
    while ((n = write(fd, buffer, sizeof buffer)) > 0)
        ;
    return n;
}

int main(int argc, char **argv)
{
    char octet;
    int result;
    if (argc != 3)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[2], "connect") == 0) {
        result = wait_in_connect();
    } else if (strcmp(argv[2], "accept") == 0) {
        result = wait_in_accept();
    } else if (strcmp(argv[2], "write") == 0) {
        result = wait_in_write();
    } else {
        int fd = connect_to(atoi(argv[1]));
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        exchange(fd, 'x');
        say("waiting");
        result = strcmp(argv[2], "poll") == 0 ? poll(&ready, 1, -1) : read(fd, &octet, 1);
    }
    if (result < 0)
        say(strerrorname_np(errno));
    else
        printf("%d\n", result);
    return EXIT_SUCCESS;
}
