/*
 * 32 MiB that must arrive whole: transfer 0 listens and sends them to one client,
 * transfer PORT receives them and looks at every octet.
 */
#include "../programs/load.h"

enum { SIZE = 32 << 20 };

static unsigned char octet(int at)
{
    return (unsigned char)((unsigned)at * 2654435761u >> 13);
}

static void serve(void)
{
    static unsigned char octets[SIZE];
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int at = 0; at < SIZE; at++)
        octets[at] = octet(at);
    int peer = accept(fd, NULL, NULL);
    if (peer < 0 || send(peer, octets, SIZE, MSG_NOSIGNAL) != SIZE)
        die("send");
}

static void receive(int port)
{
    static unsigned char octets[65536];
    int fd = connect_to(port), at = 0;
    ssize_t n;
    while ((n = read(fd, octets, sizeof octets)) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            if (octets[i] != octet(at)) {
                fprintf(stderr, "octet %d is wrong\n", at);
                exit(EXIT_FAILURE);
            }
    if (n < 0)
        die("read");
    if (at != SIZE) {
        fprintf(stderr, "%d octets\n", at);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (atoi(argv[1]) == 0)
        serve();
    else
        receive(atoi(argv[1]));
    return EXIT_SUCCESS;
}
