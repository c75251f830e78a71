/*
 * Worker processes behind one port: workers share|reuseport WORKERS CONNECTIONS
 *
 * They share a listener of their parent, or have one each with SO_REUSEPORT. Every connection is
 * answered by one of them.
 */
#include "../programs/load.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

enum { MAX_WORKERS = 64 };

static int listener(int reuse, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuse, sizeof reuse) < 0 ||
        bind(fd, (struct sockaddr *)address, length) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) < 0)
        die("listener");
    return fd;
}

/* Non-blocking accept() after poll(), as prefork servers do: of all who wake up, one gets it. */
static void work(int fd)
{
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        poll(&ready, 1, -1);
        int peer = accept(fd, NULL, NULL);
        if (peer < 0 && errno != EAGAIN)
            die("accept");
        if (peer < 0)
            continue;
        char octet;
        if (read(peer, &octet, 1) == 1)
            (void)!write(peer, &octet, 1);
        close(peer);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int reuse = strcmp(argv[1], "reuseport") == 0, count = atoi(argv[2]), answers = 0;
    struct sockaddr_in address = loopback(0);
    int fd = listener(reuse, &address);
    pid_t workers[MAX_WORKERS];
    for (int i = 0; i < count; i++) {
        int own = reuse && i > 0 ? listener(1, &address) : fd;
        if ((workers[i] = fork()) == 0)
            work(own);
        if (own != fd)
            close(own);
    }
    close(fd);
    for (int i = 0; i < atoi(argv[3]); i++) {
        int client = connect_to(ntohs(address.sin_port));
        exchange(client, (char)i);
        close(client);
        answers++;
    }
    for (int i = 0; i < count; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    printf("%d answers\n", answers);
    return EXIT_SUCCESS;
}
