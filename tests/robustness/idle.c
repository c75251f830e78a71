/*
 * Sockets in every state in which nothing happens: idle
 *
 * Makes them, says "idle", and waits to be killed. A stack that turns in circles over one of them
 * shows in its CPU time.
 */
#include "../programs/load.h"

#include <fcntl.h>
#include <poll.h>

static int listener(int backlog, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = loopback(0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, length) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) < 0)
        die("listener");
    return fd;
}

static void connection(int *client, int *server)
{
    struct sockaddr_in address;
    int fd = listener(1, &address);
    *client = connect_to(ntohs(address.sin_port));
    *server = accept(fd, NULL, NULL);
    if (*server < 0)
        die("accept");
    close(fd);
}

/* Writes until nothing is taken any more. */
static void fill(int fd)
{
    static char octets[65536];
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (poll(&room, 1, 200) == 1)
        if (write(fd, octets, sizeof octets) < 0 && errno != EAGAIN)
            die("write");
}

int main(void)
{
    struct sockaddr_in address;
    int client, server;

    /* Nobody accepts: the queue is full, and one more connection waits for an answer. */
    listener(2, &address);
    for (int i = 0; i < 5; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
            die("connect");
        (void)!write(fd, "early", 5);
    }
    /* Nobody reads: one full direction, then both. */
    connection(&client, &server);
    fill(client);
    connection(&client, &server);
    fill(client);
    fill(server);
    /* One octet lies unread; nothing lies unread. */
    connection(&client, &server);
    (void)!write(client, "x", 1);
    connection(&client, &server);
    /* Half-closed, closed with and without octets under way, reset, shut down for reading. */
    connection(&client, &server);
    shutdown(client, SHUT_WR);
    connection(&client, &server);
    shutdown(client, SHUT_RD);
    (void)!write(server, "x", 1);
    connection(&client, &server);
    fill(client);
    shutdown(client, SHUT_WR);
    connection(&client, &server);
    fill(client);
    close(client);
    connection(&client, &server);
    (void)!write(client, "x", 1);
    close(client);
    connection(&client, &server);
    (void)!write(client, "x", 1);
    usleep(20000);
    close(server);
    /* A refused connect() whose outcome nobody asks for; a bound and a fresh socket. */
    address = loopback(1);
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(client, (struct sockaddr *)&address, sizeof address);
    address = loopback(0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    bind(client, (struct sockaddr *)&address, sizeof address);
    socket(AF_INET, SOCK_STREAM, 0);

    say("idle");
    for (;;)
        pause();
}
