/*
 * Half-close: says "that was all" and goes on listening.
 *
 * Build: cc -o half_close_client half_close_client.c
 *   half_close_client PORT [REQUEST]
 * Sends REQUEST, then shutdown(SHUT_WR): our FIN goes out (FIN-WAIT-1, FIN-WAIT-2) and the server's
 * read() returns 0, but its direction stays open. Everything it sends now still arrives. Only its
 * own close() ends the connection: our read() returns 0 too.
 */
#include "client.h"

int main(int argc, char **argv)
{
    int fd = connect_to(parse_port(argc == 2 || argc == 3 ? argv[1] : NULL,
                                   "half_close_client PORT [REQUEST]"));
    const char *request = argc == 3 ? argv[2] : "all, please\n";
    if (write_all(fd, request, strlen(request)) < 0)
        die("write");
    if (shutdown(fd, SHUT_WR) < 0)
        die("shutdown");
    printf("FIN sent\n");
    fflush(stdout);
    printf("received %zu octets after the FIN, then read() returned 0\n", read_to_end(fd));
    close(fd);
    return EXIT_SUCCESS;
}
