/*
 * Binds PORT, waits for SIGUSR1, then listens: reborn PORT
 *
 * In between the stack is taken away and another one comes: it must not take the socket for a new
 * one, which would listen on a port that nobody asked for.
 */
#include "../programs/load.h"

#include <signal.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct sockaddr_in address = loopback(atoi(argv[1]));
    sigset_t go_on;
    sigemptyset(&go_on);
    sigaddset(&go_on, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go_on, NULL);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fresh = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    printf("bound\n");
    fflush(stdout);
    sigwait(&go_on, &(int){ 0 });
    printf("listen: %s\n", listen(fd, 8) == 0 ? "done" : strerror(errno));
    printf("fresh: %s\n", listen(fresh, 8) == 0 ? "done" : strerror(errno));
    int next = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(next, (struct sockaddr *)&address, sizeof address) < 0 || listen(next, 8) < 0)
        die("a socket of the new stack");
    printf("next: done\n");
    return EXIT_SUCCESS;
}
