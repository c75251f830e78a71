/*
 * Many connections to an echo server at once: crowd PORT COUNT
 *
 * Says "connected" when all are open and each has echoed; at SIGTERM each echoes once more, then
 * all are closed.
 */
#include "load.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]);
    int *fds = calloc(count, sizeof *fds);
    sigset_t end;
    int got;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    allow_descriptors();
    for (int i = 0; i < count; i++)
        fds[i] = connect_to(port);
    for (int i = 0; i < count; i++)
        exchange(fds[i], i);
    say("connected");
    sigwait(&end, &got);
    for (int i = 0; i < count; i++)
        exchange(fds[i], i + 1);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return EXIT_SUCCESS;
}
