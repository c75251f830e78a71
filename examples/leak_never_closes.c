/*
 * BUGGY on purpose: notices the end of file, leaves its loop, and forgets to close().
 *
 * Build: cc -pthread -o leak_never_closes leak_never_closes.c
 * The descriptor stays open with nobody to use it; the connection stays in CLOSE-WAIT as long as
 * this process lives, until accept() fails with EMFILE. Compare correct_server.c.
 */
#include <pthread.h>
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
    return NULL; /* BUG: no close(fd) */
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "leak_never_closes PORT (0: any)");
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}
