/*
 * Leaver: has a connection to itself whose peer has closed, and ends: leaver WAY [STATUS]
 *
 * Says "listening on PORT" when the connection is there. WAY is how it ends: return, exit, _exit,
 * exit_group, quick_exit; close (closes everything, then exit); atexit (closes in a handler of
 * exit()); fork (a child ends by _exit(), then everything is closed); wait (for a signal).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int accepted;

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static void close_accepted(void)
{
    close(accepted);
}

/* A connection to itself; its connecting end is closed. */
static void connect_to_itself(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    char octet;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connecting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    if (connect(connecting, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    accepted = accept(listener, NULL, NULL);
    if (accepted < 0)
        die("accept");
    close(connecting);
    if (read(accepted, &octet, 1) != 0)
        die("read");
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    int status = argc > 2 ? atoi(argv[2]) : 0;
    connect_to_itself();
    if (strcmp(way, "return") == 0)
        return status;
    if (strcmp(way, "_exit") == 0)
        _exit(status);
    if (strcmp(way, "exit_group") == 0)
        syscall(SYS_exit_group, status);
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(status);
    if (strcmp(way, "wait") == 0)
        pause();
    if (strcmp(way, "close") == 0)
        close_accepted();
    if (strcmp(way, "atexit") == 0)
        atexit(close_accepted);
    if (strcmp(way, "fork") == 0) {
        if (fork() == 0)
            _exit(0);
        wait(NULL);
        close_accepted();
    }
    exit(status);
}
