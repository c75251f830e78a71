/*
 * Connections in a storm of signals: interrupted PORT COUNT restart|interrupt
 *
 * PORT is an echo server's. With SA_RESTART no call may fail; without, EINTR is the only failure,
 * and of the calls that wait only.
 */
#include "../programs/load.h"

#include <netinet/tcp.h>
#include <sys/time.h>

static volatile sig_atomic_t signals;
static int interruptions;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* Whether a call that waits is to be made again. */
static int again(long result, const char *what)
{
    if (result >= 0)
        return 0;
    if (errno != EINTR)
        die(what);
    interruptions++;
    return 1;
}

static int connect_through_signals(int port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        die("setsockopt");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (errno != EINTR)
        die("connect");
    /* It goes on by itself; the call is made again until it says so. */
    interruptions++;
    while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EISCONN)
        if (errno != EINTR && errno != EALREADY)
            die("connect again");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int restart = strcmp(argv[3], "restart") == 0;
    struct sigaction action = { .sa_handler = count_signal, .sa_flags = restart ? SA_RESTART : 0 };
    struct itimerval often = { .it_interval = { 0, 200 }, .it_value = { 0, 200 } };
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < atoi(argv[2]); i++) {
        int fd = connect_through_signals(atoi(argv[1]));
        char octet = (char)i;
        long n;
        while (again(n = write(fd, &octet, 1), "write"))
            ;
        while (again(n = read(fd, &octet, 1), "read"))
            ;
        if (n != 1 || octet != (char)i) {
            fprintf(stderr, "the echo is wrong\n");
            return EXIT_FAILURE;
        }
        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 || close(fd) < 0)
            die("close");
    }
    if (restart && interruptions > 0) {
        fprintf(stderr, "EINTR with SA_RESTART: %d\n", interruptions);
        return EXIT_FAILURE;
    }
    puts(signals > 0 ? "signals, and no harm" : "no signals");
    return EXIT_SUCCESS;
}
