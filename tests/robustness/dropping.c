/*
 * Gives up its root directory and its user, then connects, and a child of it too:
 * dropping PORT DIRECTORY
 */
#include "../programs/load.h"

#include <grp.h>
#include <sys/wait.h>

static void echo(int port, const char *who)
{
    int fd = connect_to(port);
    exchange(fd, 'x');
    close(fd);
    dprintf(STDOUT_FILENO, "%s echoed\n", who);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int port = atoi(argv[1]), status;
    if (chroot(argv[2]) < 0 || chdir("/") < 0 || setgroups(0, NULL) < 0 ||
        setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        die("dropping");
    pid_t child = fork();
    if (child == 0) {
        echo(port, "child");
        return EXIT_SUCCESS;
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return EXIT_FAILURE;
    echo(port, "parent");
    return EXIT_SUCCESS;
}
