/*
 * Client: connects and closes, again and again. It closes first, so each connection leaves a
 * TIME-WAIT behind that takes one of this machine's ports.
 *
 * Build: cc -o connect_often connect_often.c
 *   connect_often PORT COUNT
 * Against one server, connect() fails with EADDRNOTAVAIL when the range of ports is used up
 * (`net.ipv4.ip_local_port_range`); a server that closes when its peer does is needed.
 */
#include "client.h"

int main(int argc, char **argv)
{
    int port = parse_port(argc == 3 ? argv[1] : NULL, "connect_often PORT COUNT");
    int count = atoi(argv[2]);
    for (int made = 1; made <= count; made++) {
        int fd = connect_to(port);
        /* Our FIN first; then the server's, so that this one is over when the next begins. */
        if (shutdown(fd, SHUT_WR) < 0)
            die("shutdown");
        read_to_end(fd);
        close(fd);
        printf("connected and closed %d\n", made);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
