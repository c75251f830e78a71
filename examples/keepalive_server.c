/*
 * A server that notices a dead peer: SO_KEEPALIVE on every connection, with the system's times.
 *
 * Build: cc -o keepalive_server keepalive_server.c
 *   keepalive_server PORT     accepts one connection after the other, reads until its end
 * A peer that loses its power sends no FIN. Probes find that out after tcp_keepalive_time (2 h) and
 * tcp_keepalive_probes (9) probes tcp_keepalive_intvl (75 s) apart; read() then fails with ETIMEDOUT.
 */
#include "server.h"

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "keepalive_server PORT (0: any)");
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        static char buffer[65536];
        int on = 1;
        ssize_t n;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0)
            die("setsockopt");
        while ((n = read(fd, buffer, sizeof buffer)) > 0)
            continue;
        if (n < 0)
            perror("read");
        close(fd);
    }
}
