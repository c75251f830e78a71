/*
 * Echo server: one process for each connection.
 *
 * Build: cc -o fork_server fork_server.c
 * After fork() parent and child both hold the connection. The parent closes its copy at once; the
 * FIN is sent only when the last copy is closed. Forget the parent's close() and no connection
 * ever ends (it stays in CLOSE-WAIT): `fork_server -f PORT` shows that.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "server.h"

static void serve(int fd)
{
    char buffer[65536];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        if (write_all(fd, buffer, n) < 0)
            die("write");
    if (n < 0)
        die("read");
}

int main(int argc, char **argv)
{
    int forget = argc == 3 && strcmp(argv[1], "-f") == 0;
    int port = parse_port(argc == 2 + forget ? argv[1 + forget] : NULL,
                          "fork_server [-f] PORT (0: any; -f: parent forgets to close)");
    /* Children that end leave no zombies. */
    signal(SIGCHLD, SIG_IGN);
    int listener = listen_on(port, REUSE_ADDRESS);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            if (errno != EINTR)
                perror("accept");
            continue;
        }
        pid_t child = fork();
        if (child < 0)
            perror("fork");
        if (child == 0) {
            close(listener);
            serve(fd);
            close(fd);
            exit(EXIT_SUCCESS);
        }
        if (!forget)
            close(fd);
    }
}
