/*
 * HTTP client: asks for / and prints the status line of each answer.
 *
 * Build: cc -o http_get http_get.c
 *   http_get PORT [COUNT]     (COUNT requests, one after the other, each on its own connection)
 * As HTTP/1.0 has it, the server closes first, so TIME-WAIT is on its side.
 */
#include "client.h"

int main(int argc, char **argv)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    int port = parse_port(argc == 2 || argc == 3 ? argv[1] : NULL, "http_get PORT [COUNT]");
    int count = argc == 3 ? atoi(argv[2]) : 1;
    for (int i = 0; i < count; i++) {
        char answer[4096] = "";
        size_t length = 0;
        ssize_t n;
        int fd = connect_to(port);
        if (write_all(fd, request, sizeof request - 1) < 0)
            die("write");
        /* A status line fits; what comes after it is read and forgotten. */
        while ((n = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
            length += n;
        read_to_end(fd);
        printf("%.*s\n", (int)strcspn(answer, "\r\n"), answer);
        fflush(stdout);
        close(fd);
    }
    return EXIT_SUCCESS;
}
