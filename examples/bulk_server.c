/*
 * Answers only after the client's end of file: reads all of the request, then sends COUNT octets.
 *
 * Build: cc -o bulk_server bulk_server.c
 *   bulk_server PORT [COUNT]     (COUNT is 1 MiB if not given)
 * The counterpart of half_close_client: while this server sends, it is in CLOSE-WAIT, which is a
 * legal state to work in; it becomes a leak only when the program never closes.
 */
#include <signal.h>

#include "server.h"

static void serve(int fd, size_t count)
{
    static char buffer[65536];
    size_t request = 0, sent = 0;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        request += n;
    if (n < 0) {
        perror("read");
        return;
    }
    memset(buffer, 'x', sizeof buffer);
    while (sent < count) {
        size_t piece = count - sent < sizeof buffer ? count - sent : sizeof buffer;
        if (write_all(fd, buffer, piece) < 0) {
            perror("write");
            return;
        }
        sent += piece;
    }
    printf("read %zu octets and their end, then sent %zu\n", request, sent);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 || argc == 3 ? argv[1] : NULL, "bulk_server PORT [COUNT]");
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 1 << 20;
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        serve(fd, count);
        close(fd);
    }
}
