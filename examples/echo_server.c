/*
 * Echo server: blocking calls, one thread for each connection.
 *
 * Build: cc -pthread -o echo_server echo_server.c
 * The life of a connection as the server's program sees it: accept(), read() until it returns 0
 * (the peer's FIN has arrived: CLOSE-WAIT), close() (our FIN leaves: LAST-ACK).
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "server.h"

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char buffer[65536];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        if (write_all(fd, buffer, n) < 0)
            break;
    if (n < 0)
        perror("read");
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "echo_server PORT (0: any)");
    /* A peer that is gone shall fail the write() with EPIPE, not end the server. */
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            perror("accept");
            continue;
        }
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0) {
            fprintf(stderr, "no more threads: connection closed\n");
            close(fd);
            continue;
        }
        pthread_detach(thread);
    }
}
