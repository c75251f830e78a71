/*
 * A server that is killed and started again on its port, COUNT times, while clients connect:
 * restart COUNT
 *
 * A client hears an answer, or an error of those that a restart explains; none hangs.
 */
#include "../programs/load.h"

#include <poll.h>
#include <sys/wait.h>

enum { CLIENTS = 4 };

static void serve(int port, int ready)
{
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
        die("server");
    (void)!write(ready, "x", 1);
    for (;;) {
        char octet;
        int peer = accept(fd, NULL, NULL);
        if (peer < 0)
            die("accept");
        if (read(peer, &octet, 1) == 1)
            (void)!write(peer, &octet, 1);
        close(peer);
    }
}

static void be_client(int port)
{
    struct sockaddr_in address = loopback(port);
    for (;;) {
        char octet = 'x';
        struct timeval patience = { .tv_sec = 5 };
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0)
            die("client's socket");
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        int fine = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                   send(fd, &octet, 1, MSG_NOSIGNAL) == 1 && read(fd, &octet, 1) >= 0;
        if (!fine && errno != ECONNREFUSED && errno != ECONNRESET && errno != EPIPE)
            die("client");
        close(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int port = 4000, count = atoi(argv[1]), ready[2], status;
    pid_t clients[CLIENTS];
    if (pipe(ready) < 0)
        die("pipe");
    for (int i = 0; i < CLIENTS; i++)
        if ((clients[i] = fork()) == 0)
            be_client(port);
    for (int i = 0; i < count; i++) {
        char octet;
        struct pollfd word = { .fd = ready[0], .events = POLLIN };
        pid_t server = fork();
        if (server == 0)
            serve(port, ready[1]);
        if (poll(&word, 1, 5000) != 1 || read(ready[0], &octet, 1) != 1) {
            fprintf(stderr, "server %d does not come up\n", i);
            return EXIT_FAILURE;
        }
        usleep(20000);
        kill(server, SIGKILL);
        waitpid(server, &status, 0);
        if (WIFEXITED(status)) {
            fprintf(stderr, "server %d ended by itself\n", i);
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        kill(clients[i], SIGKILL);
        waitpid(clients[i], &status, 0);
        if (WIFEXITED(status)) {
            fprintf(stderr, "a client ended by itself\n");
            return EXIT_FAILURE;
        }
    }
    printf("%d servers\n", count);
    return EXIT_SUCCESS;
}
