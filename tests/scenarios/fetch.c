/*
 * Fetches again and again for a time, and counts the answers that are not whole.
 *
 *   fetch PORT MILLISECONDS OCTETS
 * The server writes OCTETS and closes first.
 */
#include <time.h>

#include "../../examples/client.h"

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    int port = parse_port(argc == 4 ? argv[1] : NULL, "fetch PORT MILLISECONDS OCTETS");
    long end = now_ms() + atol(argv[2]);
    size_t octets = strtoul(argv[3], NULL, 10), all = 0, broken = 0;
    do {
        int fd = connect_to(port);
        if (write_all(fd, "GET", 3) < 0)
            die("write");
        broken += read_to_end(fd) != octets;
        all++;
        close(fd);
    } while (now_ms() < end);
    if (broken)
        printf("%zu of %zu broken\n", broken, all);
    else
        printf("all whole\n");
    return EXIT_SUCCESS;
}
