/* What the load programs share: loopback connections, and descriptors enough for many of them. */
#define _GNU_SOURCE
#ifndef LOAD_H
#define LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

__attribute__((unused)) static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

__attribute__((unused)) static int connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    return fd;
}

/* Sends one octet to an echo server and reads it back. */
__attribute__((unused)) static void exchange(int fd, char octet)
{
    char answer;
    if (write(fd, &octet, 1) != 1)
        die("write");
    ssize_t n = read(fd, &answer, 1);
    if (n < 0)
        die("read");
    if (n == 0 || answer != octet) {
        fprintf(stderr, n == 0 ? "end instead of an echo\n" : "the echo is wrong\n");
        exit(EXIT_FAILURE);
    }
}

__attribute__((unused)) static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("setrlimit");
}

__attribute__((unused)) static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

#endif
