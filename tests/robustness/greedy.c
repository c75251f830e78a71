/*
 * More connections than there are descriptors: greedy PORT COUNT
 *
 * Holds what it gets, says how many were refused and with what, and waits to be killed.
 */
#include "../programs/load.h"

#include <errno.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct sockaddr_in address = loopback(atoi(argv[1]));
    int refused = 0, last = 0;
    for (int i = 0; i < atoi(argv[2]); i++) {
        char octet = 'x';
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            send(fd, &octet, 1, MSG_NOSIGNAL) != 1 || read(fd, &octet, 1) != 1) {
            last = errno;
            refused++;
        }
    }
    printf("%d refused, %s (%s)\n", refused, strerror(last), last == EMFILE ? "EMFILE" : "other");
    fflush(stdout);
    for (;;)
        pause();
}
