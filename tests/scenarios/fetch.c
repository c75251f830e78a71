/*
 * Fetches COUNT times, one connection after another, and counts the answers that are not whole.
 *
 *   fetch PORT COUNT OCTETS
 * The server writes OCTETS and closes first.
 */
#include "../../examples/client.h"

int main(int argc, char **argv)
{
    const char *usage = "fetch PORT COUNT OCTETS";
    int port = parse_port(argc == 4 ? argv[1] : NULL, usage);
    size_t count = strtoul(argv[2], NULL, 10), octets = strtoul(argv[3], NULL, 10), whole = 0;
    for (size_t i = 0; i < count; i++) {
        int fd = connect_to(port);
        if (write_all(fd, "GET", 3) < 0)
            die("write");
        whole += read_to_end(fd) == octets;
        close(fd);
    }
    printf("%zu of %zu whole\n", whole, count);
    return EXIT_SUCCESS;
}
