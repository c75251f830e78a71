/* Reads and writes a connection under strict seccomp: sandboxed PORT */
#include "../programs/load.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int fd = connect_to(atoi(argv[1])), files[2];
    char octets[8] = "octets";
    if (pipe(files) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        die("seccomp");
    for (int i = 0; i < 100; i++) {
        if (write(fd, octets, 6) != 6 || read(fd, octets, 6) != 6)
            syscall(SYS_exit, 3);
        if (write(files[1], octets, 6) != 6 || read(files[0], octets, 6) != 6)
            syscall(SYS_exit, 4);
    }
    (void)!write(STDOUT_FILENO, "echoed\n", 7);
    /* Not exit_group(), which strict mode forbids. */
    syscall(SYS_exit, EXIT_SUCCESS);
}
