/* A setsockopt() and a getsockopt() of one socket, over and over: options COUNT */
#include "../programs/load.h"

#include <netinet/tcp.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0), count = atoi(argv[1]);
    for (int i = 0; i < count; i++) {
        int on = i % 2, now = -1;
        socklen_t length = sizeof now;
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
            die("setsockopt");
        if (i % 64 == 0 && (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, &length) < 0 || now != on))
            die("getsockopt");
    }
    printf("%d\n", count);
    return EXIT_SUCCESS;
}
