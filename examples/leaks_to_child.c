/*
 * BUGGY on purpose: starts a child without closing the listening socket, nor marking it FD_CLOEXEC.
 *
 * Build: cc -o leaks_to_child leaks_to_child.c
 *   leaks_to_child PORT     listens, starts `sleep 60`, waits
 * When this server ends, the child goes on holding the port: the next bind() fails with EADDRINUSE,
 * and who looks for the culprit finds a program that has nothing to do with the network.
 * The cure is SOCK_CLOEXEC, or close() between fork() and exec().
 */
#include "server.h"

int main(int argc, char **argv)
{
    int port = parse_port(argc == 2 ? argv[1] : NULL, "leaks_to_child PORT (0: any)");
    listen_on(port, REUSE_ADDRESS);
    pid_t child = fork(); /* BUG: the listener goes along */
    if (child < 0)
        die("fork");
    if (child == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
        die("exec");
    }
    pause();
}
