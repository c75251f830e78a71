/*
 * Reads and writes a connection and a pipe in a sandbox that forbids nearly all calls:
 * sandboxed PORT
 *
 * Forbidden calls kill. write() and read() of a connection may be made as sendto() and recvfrom();
 * on a pipe they are what they are.
 */
#include "../programs/load.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ALLOW(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void enter_sandbox(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_sendto),
        ALLOW(SYS_recvfrom),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = { .len = sizeof rules / sizeof *rules, .filter = rules };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        die("seccomp");
}

/* Strict mode: only read(), write(), exit(). */
static void enter_strict_sandbox(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        die("seccomp");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    int fd = connect_to(atoi(argv[1])), files[2], status;
    char octets[8] = "octets";
    if (pipe(files) < 0)
        die("pipe");
    pid_t child = fork();
    if (child == 0) {
        enter_strict_sandbox();
        for (int i = 0; i < 100; i++)
            if (write(files[1], octets, 6) != 6 || read(files[0], octets, 6) != 6)
                syscall(SYS_exit, 3);
        /* Not exit_group(), which strict mode forbids. */
        syscall(SYS_exit, EXIT_SUCCESS);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return 4;
    enter_sandbox();
    for (int i = 0; i < 100; i++)
        if (write(fd, octets, 6) != 6 || read(fd, octets, 6) != 6)
            _exit(5);
    (void)!write(STDOUT_FILENO, "echoed\n", 7);
    _exit(EXIT_SUCCESS);
}
