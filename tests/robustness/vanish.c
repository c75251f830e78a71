/*
 * Programs that vanish: vanish PORT MILLISECONDS
 *
 * PORT is an echo server's. Eight children at a time live through sockets in every way and are
 * killed at moments that a seeded generator picks, so that sooner or later one dies in every call.
 */
#include "../programs/load.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>

enum { CHILDREN = 8, LIFE_US = 15000 };

static unsigned long long seed = 42;

static unsigned any(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One use of a connection; whatever fails is as good as what works. */
static void talk(int fd)
{
    static char octets[100000];
    if (any(2))
        (void)!write(fd, octets, any(sizeof octets) + 1);
    if (any(2))
        (void)!recv(fd, octets, sizeof octets, any(2) ? MSG_DONTWAIT : 0);
    if (any(3) == 0)
        shutdown(fd, (int)any(3));
    if (any(4) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
}

static void be_client(int port)
{
    struct sockaddr_in address = loopback(port), mine = loopback(0);
    int fd = socket(AF_INET, SOCK_STREAM | (any(2) ? SOCK_NONBLOCK : 0), 0);
    if (any(4) == 0)
        bind(fd, (struct sockaddr *)&mine, sizeof mine);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    if (any(2))
        poll(&ready, 1, 100);
    fcntl(fd, F_SETFL, 0);
    if (any(4) && poll(&ready, 1, 0) == 1 && !(ready.revents & (POLLERR | POLLHUP))) {
        /* The echo comes back, so that a blocking read in talk() ends. */
        (void)!write(fd, "x", 1);
        talk(fd);
    }
    close(fd);
}

/* A listener and its own clients, who are accepted, left waiting, or reset. */
static void be_server(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int clients[4], fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (struct sockaddr *)&address, sizeof address);
    listen(fd, (int)any(5));
    getsockname(fd, (struct sockaddr *)&address, &length);
    for (int i = 0; i < 4; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(clients[i], (struct sockaddr *)&address, sizeof address);
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        if (accepted >= 0 && any(3))
            talk(accepted);
        if (accepted >= 0 && any(3))
            close(accepted);
        if (any(8) == 0)
            shutdown(fd, SHUT_RDWR);
        else if (any(16) == 0)
            listen(fd, 1);
    }
    for (int i = 0; i < 4; i++) {
        if (any(3))
            talk(clients[i]);
        if (any(3))
            close(clients[i]);
    }
    close(fd);
}

static pid_t start_child(int port)
{
    any(2);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid > 0)
        return pid;
    seed ^= (unsigned long long)getpid() << 20;
    signal(SIGPIPE, SIG_IGN);
    allow_descriptors();
    for (;;) {
        if (any(2))
            be_client(port);
        else
            be_server();
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int port = atoi(argv[1]), killed = 0;
    long end = now_ms() + atoi(argv[2]);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_child(port);
    while (now_ms() < end) {
        int victim = (int)any(CHILDREN);
        usleep(any(LIFE_US));
        kill(children[victim], SIGKILL);
        waitpid(children[victim], NULL, 0);
        killed++;
        children[victim] = start_child(port);
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    printf("%d killed\n", killed);
    return EXIT_SUCCESS;
}
