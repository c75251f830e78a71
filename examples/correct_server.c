/*
 * The correct counterpart of the two leaking servers: read() == 0 ends the loop, and every way out
 * of the loop leads to close().
 *
 * Build: cc -pthread -o correct_server correct_server.c
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
    close(fd); /* CLOSE-WAIT becomes LAST-ACK, and the connection can end */
    return NULL;
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "correct_server PORT (0: any)");
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    }
}
