/*
 * A server that closes first, as HTTP/1.0 servers do: TIME-WAIT gathers on the server's port.
 *
 * Build: cc -o closes_first closes_first.c
 *   closes_first [-r] [-1] PORT     -r: SO_REUSEADDR, -1: one connection, then exit
 * Start it, let a client connect (`client -e PORT GET` lets the server close first), stop it and
 * start it again: without -r bind() fails with EADDRINUSE until the TIME-WAIT is over, although the
 * first process is long dead. With -r it succeeds at once, but on Linux only if the first one had
 * been started with -r as well.
 */
#include <signal.h>

#include "server.h"

int main(int argc, char **argv)
{
    enum reuse reuse = NO_REUSE;
    int only_one = 0, option;
    const char *usage = "closes_first [-r] [-1] PORT (0: any; -r: SO_REUSEADDR; -1: only one)";
    while ((option = getopt(argc, argv, "r1")) != -1)
        if (option == 'r')
            reuse = REUSE_ADDRESS;
        else if (option == '1')
            only_one = 1;
        else
            parse_port(NULL, usage);
    int listener = listen_on(parse_port(optind + 1 == argc ? argv[optind] : NULL, usage), reuse);
    signal(SIGPIPE, SIG_IGN);
    do {
        static const char answer[] = "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbye\n";
        char buffer[4096];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        if (read(fd, buffer, sizeof buffer) < 0)
            perror("read");
        else if (write_all(fd, answer, sizeof answer - 1) < 0)
            perror("write");
        /* Our FIN goes out first. The rest of what the client says is read, so that close() finds
         * nothing unread: that would make it send RST, and there would be no TIME-WAIT. */
        shutdown(fd, SHUT_WR);
        while (read(fd, buffer, sizeof buffer) > 0)
            ;
        close(fd);
    } while (!only_one);
    return EXIT_SUCCESS;
}
