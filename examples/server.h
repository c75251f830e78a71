/* What every server example needs: a listening socket on the loopback interface, and its port. */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum reuse { NO_REUSE, REUSE_ADDRESS };

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* The port number in `text`, or exit with a usage line. Port 0 lets the system choose. */
static int parse_port(const char *text, const char *usage)
{
    char *end = NULL;
    long port = text ? strtol(text, &end, 10) : -1;
    if (port < 0 || port > 65535 || end == text || *end) {
        fprintf(stderr, "usage: %s\n", usage);
        exit(2);
    }
    return port;
}

/* socket(), bind(), listen(); says "listening on PORT" on stdout. */
static int listen_on(int port, enum reuse reuse)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t length = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (reuse == REUSE_ADDRESS && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        die("setsockopt SO_REUSEADDR");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(fd, SOMAXCONN) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        die("getsockname");
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
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

#endif
