/* What every client example needs: a connection to a port of this machine. */
#ifndef CLIENT_H
#define CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* The port number in `text`, or exit with a usage line. */
static int parse_port(const char *text, const char *usage)
{
    char *end = NULL;
    long port = text ? strtol(text, &end, 10) : -1;
    if (port < 1 || port > 65535 || end == text || *end) {
        fprintf(stderr, "usage: %s\n", usage);
        exit(2);
    }
    return port;
}

enum reuse { NO_REUSE, REUSE_ADDRESS };

/* A connection from the port `local` of this machine, or, where that is 0, from any. */
static int connect_from(int local, enum reuse reuse, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(local) };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (reuse == REUSE_ADDRESS && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        die("setsockopt SO_REUSEADDR");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (local && bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    address.sin_port = htons(port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    return fd;
}

__attribute__((unused)) static int connect_to(int port)
{
    return connect_from(0, NO_REUSE, port);
}

/* write() may take a part only: goes on until all is taken. 0, or -1 with errno. */
__attribute__((unused)) static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0)
            return -1;
        data += n;
        length -= n;
    }
    return 0;
}

/* Reads until read() returns 0, which is the peer's FIN; how many octets came before it. */
static size_t read_to_end(int fd)
{
    char buffer[65536];
    size_t total = 0;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        total += n;
    if (n < 0)
        die("read");
    return total;
}

#endif
