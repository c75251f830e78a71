/*
 * BUGGY on purpose: takes read() == 0 for "nothing yet" and goes on asking.
 *
 * Build: cc -pthread -o leak_ignores_eof leak_ignores_eof.c
 * read() == 0 is the peer's FIN. It will be 0 for ever; the connection stays in CLOSE-WAIT as long
 * as this process lives, and the thread burns its time. Compare correct_server.c.
 */
#include <pthread.h>
#include <stdint.h>

#include "server.h"

static void *serve(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char buffer[65536];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n > 0) {
            if (write_all(fd, buffer, n) < 0)
                break;
        } else if (n < 0) {
            break;
        } else {
            usleep(10 * 1000); /* BUG: "no data, try again later" */
        }
    }
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "leak_ignores_eof PORT (0: any)");
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
