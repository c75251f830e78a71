/*
 * Writes to an echo server and reads from it without end: pump PORT
 *
 * Says "pumping" after 4 MiB have come back, and how it ended: "end", or the errno's name.
 */
#include "load.h"

#include <poll.h>
#include <sys/ioctl.h>

#define ENOUGH (4 << 20)

static void ended(ssize_t result)
{
    say(result == 0 ? "end" : strerrorname_np(errno));
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    static char buffer[65536];
    if (argc != 2)
        return 2;
    int fd = connect_to(atoi(argv[1])), one = 1;
    size_t total = 0;
    signal(SIGPIPE, SIG_IGN);
    if (ioctl(fd, FIONBIO, &one) < 0)
        die("ioctl FIONBIO");
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
        if (poll(&ready, 1, -1) < 0)
            die("poll");
        ssize_t n = write(fd, buffer, sizeof buffer);
        if (n < 0 && errno != EAGAIN)
            ended(n);
        n = read(fd, buffer, sizeof buffer);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            ended(n);
        if (n > 0 && total < ENOUGH && (total += n) >= ENOUGH)
            say("pumping");
    }
}
