/* A listener on a port that the system chooses, held until a signal ends it: herd */
#include "load.h"

int main(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (bind(fd, (struct sockaddr *)&address, length) < 0)
        die("bind");
    if (listen(fd, 5) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        die("getsockname");
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;)
        pause();
}
