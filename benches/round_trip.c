/*
 * One octet to an echo server and back, again and again on one connection: round_trip PORT COUNT
 */
#include "../tests/programs/load.h"

#include <netinet/tcp.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int fd = connect_to(atoi(argv[1])), count = atoi(argv[2]), one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        die("setsockopt TCP_NODELAY");
    for (int i = 0; i < count; i++)
        exchange(fd, i);
    return EXIT_SUCCESS;
}
