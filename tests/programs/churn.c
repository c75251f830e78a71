/*
 * Short connections to an echo server, one after another: churn PORT COUNT reset|fin
 *
 * Each sends an octet, reads it back and is closed: by RST (SO_LINGER with zero seconds), or by
 * FIN, so that this side keeps it in TIME-WAIT.
 */
#include "load.h"

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), reset = strcmp(argv[3], "reset") == 0;
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    for (int i = 0; i < count; i++) {
        int fd = connect_to(port);
        exchange(fd, i);
        if (reset && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0)
            die("setsockopt SO_LINGER");
        if (close(fd) < 0)
            die("close");
    }
    printf("%d connections\n", count);
    return EXIT_SUCCESS;
}
