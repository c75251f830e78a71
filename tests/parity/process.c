/* fork, exec, dup, SCM_RIGHTS, closefrom: who holds a socket, and that it is still one. */
#include "trace.h"

#include <spawn.h>

/* What a copy of this program does with an inherited descriptor: `--again ACTION FD`. */
int trace_again(int argc, char **argv)
{
    int fd = argc > 1 ? atoi(argv[1]) : -1;
    if (argc < 2)
        return 2;
    on_signal(SIGPIPE, SA_RESTART);
    if (strcmp(argv[0], "echo") == 0) {
        READ(fd, 16);
        WRITE(fd, "from exec");
    } else if (strcmp(argv[0], "accept") == 0) {
        GET(fd, SOL_SOCKET, SO_ACCEPTCONN);
        SOCKNAME(fd);
        int s = FD(accept(fd, NULL, NULL));
        WRITE(s, "from exec");
    } else if (strcmp(argv[0], "names") == 0) {
        NAMES(fd);
        STATE(fd);
        GET(fd, IPPROTO_TCP, TCP_NODELAY);
    } else if (strcmp(argv[0], "gone") == 0) {
        READ(fd, 16);
    } else if (strcmp(argv[0], "connect") == 0) {
        struct addr server = v4("127.0.0.1", fd);
        int c = tcp4();
        T(connect(c, AT(server)));
        WRITE(c, "from exec");
    }
    return 7;
}

static char *number(int n)
{
    static char text[2][12];
    static int which;
    which = !which;
    snprintf(text[which], sizeof text[which], "%d", n);
    return text[which];
}

/* fork() + exec() of this program. */
static pid_t run_again(const char *action, int argument)
{
    char *argv[] = { trace_self, "--again", (char *)action, number(argument), NULL };
    pid_t child = MUST(fork());
    if (child == 0) {
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    return child;
}

CASE(fork_child_uses_the_connection)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        AWAIT_OCTETS(p.s, 3);
        READ(p.s, 16);
        WRITE(p.s, "from the child");
        _exit(0);
    }
    MUST(write(p.c, "abc", 3));
    REAP(child);
    AWAIT_OCTETS(p.c, 14);
    READ(p.c, 32);
    POLL(p.c);
}

CASE(fork_fin_only_after_the_last_reference)
{
    struct pair p = tcp_pair();
    struct gate go = gate();
    pid_t child = fork();
    if (child == 0) {
        close(p.c);
        pass_gate(go);
        _exit(0);
    }
    T(close(p.s));
    SETTLE(p.c);
    open_gate(go);
    REAP(child);
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
}

CASE(fork_shutdown_works_for_all_holders)
{
    struct pair p = tcp_pair();
    struct gate go = gate();
    pid_t child = fork();
    if (child == 0) {
        pass_gate(go);
        WRITE(p.s, "x");
        _exit(0);
    }
    T(shutdown(p.s, SHUT_WR));
    AWAIT(p.c, POLLRDHUP);
    open_gate(go);
    REAP(child);
}

CASE(fork_kill_9_ends_the_connection)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        close(p.c);
        pause();
    }
    T(close(p.s));
    SETTLE(p.c);
    T(kill(child, SIGKILL));
    REAP(child);
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
}

CASE(fork_kill_9_with_unread_data_resets)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        close(p.c);
        pause();
    }
    T(close(p.s));
    T(write(p.c, "unread", 6));
    AWAIT_ACKED(p.c);
    T(kill(child, SIGKILL));
    REAP(child);
    AWAIT(p.c, POLLERR);
    SOERR(p.c);
}

CASE(fork_child_accepts_from_the_parents_listener)
{
    struct addr server;
    int l = listener(&server);
    pid_t child = fork();
    if (child == 0) {
        int s = FD(accept(l, NULL, NULL));
        PEERNAME(s);
        WRITE(s, "child");
        _exit(0);
    }
    int c = connected_to(&server);
    REAP(child);
    AWAIT_OCTETS(c, 5);
    READ(c, 16);
    AWAIT(c, POLLRDHUP);
}

CASE(fork_listener_lives_until_the_last_holder_ends)
{
    struct addr server;
    int l = listener(&server);
    struct gate go = gate();
    pid_t child = fork();
    if (child == 0) {
        pass_gate(go);
        _exit(0);
    }
    T(close(l));
    int c = tcp4();
    T(connect(c, AT(server)));
    open_gate(go);
    REAP(child);
    AWAIT(c, POLLERR);
    T(connect(tcp4(), AT(server)));
}

CASE(fork_prefork_workers)
{
    struct addr server;
    int l = listener(&server), answers = 0;
    pid_t child[3];
    for (int i = 0; i < 3; i++)
        if ((child[i] = fork()) == 0)
            for (int k = 0;; k++) {
                int s = accept(l, NULL, NULL);
                char x;
                if (s < 0 || read(s, &x, 1) != 1 || write(s, &x, 1) != 1)
                    _exit(1);
                close(s);
                if (x == 'q')
                    _exit(0);
            }
    for (int i = 0; i < 15; i++) {
        int c = connected_to(&server);
        char x = i < 12 ? 'a' + i % 5 : 'q', y = 0;
        if (write(c, &x, 1) == 1 && read(c, &y, 1) == 1 && x == y)
            answers++;
        close(c);
    }
    trace("answers %d", answers);
    for (int i = 0; i < 3; i++)
        REAP(child[i]);
}

CASE(fork_socket_made_before_connected_in_the_child)
{
    struct addr server;
    int l = listener(&server), fd = tcp4();
    pid_t child = fork();
    if (child == 0) {
        T(connect(fd, AT(server)));
        _exit(0);
    }
    REAP(child);
    FD(accept(l, NULL, NULL));
    PEERNAME(fd);
    POLL(fd);
    WRITE(fd, "parent");
}

CASE(fork_bind_in_the_child_listen_in_the_parent)
{
    struct addr at = v4("127.0.0.1", free_port());
    int fd = tcp4();
    pid_t child = fork();
    if (child == 0) {
        T(bind(fd, AT(at)));
        _exit(0);
    }
    REAP(child);
    SOCKNAME(fd);
    T(listen(fd, 4));
    int c = tcp4();
    T(connect(c, AT(at)));
    FD(accept(fd, NULL, NULL));
}

CASE(fork_twice_and_orphaned)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            close(p.c);
            char x;
            while (read(p.s, &x, 1) == 1 && write(p.s, &x, 1) == 1)
                ;
            _exit(0);
        }
        _exit(0);
    }
    T(close(p.s));
    REAP(child);
    T(write(p.c, "a", 1));
    READ(p.c, 4);
    T(shutdown(p.c, SHUT_WR));
    READ(p.c, 4);
}

CASE(exec_keeps_a_connection)
{
    struct pair p = tcp_pair();
    T(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    REAP(run_again("echo", p.s));
    AWAIT_OCTETS(p.c, 9);
    READ(p.c, 32);
}

CASE(exec_keeps_names_and_options)
{
    struct pair p = tcp_pair();
    SET(p.s, IPPROTO_TCP, TCP_NODELAY, 1);
    REAP(run_again("names", p.s));
}

CASE(exec_keeps_a_listener)
{
    struct addr server;
    int l = listener(&server);
    int c = connected_to(&server);
    REAP(run_again("accept", l));
    AWAIT_OCTETS(c, 9);
    READ(c, 32);
    AWAIT(c, POLLRDHUP);
}

CASE(exec_closes_a_cloexec_socket)
{
    struct pair p = tcp_pair();
    MUST(fcntl(p.s, F_SETFD, FD_CLOEXEC));
    REAP(run_again("gone", p.s));
    struct gate go = gate();
    pid_t child = fork();
    if (child == 0) {
        close(p.c);
        pass_gate(go);
        execl("/bin/sleep", "sleep", "3", NULL);
        _exit(127);
    }
    MUST(close(p.s));
    SETTLE(p.c);
    open_gate(go);
    AWAIT(p.c, POLLRDHUP);
    MUST(kill(child, SIGKILL));
    REAP(child);
}

CASE(exec_makes_sockets_of_its_own)
{
    struct addr server;
    int l = listener(&server);
    REAP(run_again("connect", port_of(&server)));
    int s = FD(accept(l, NULL, NULL));
    AWAIT_OCTETS(s, 9);
    READ(s, 16);
}

CASE(vfork_exec)
{
    struct pair p = tcp_pair();
    char *argv[] = { trace_self, "--again", "echo", number(p.s), NULL };
    T(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    pid_t child = vfork();
    if (child == 0) {
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    REAP(child);
    AWAIT_OCTETS(p.c, 9);
    READ(p.c, 32);
    NOTE("the parent's sockets are as before");
    T(write(p.s, "parent", 6));
    AWAIT_OCTETS(p.c, 6);
    READ(p.c, 16);
}

CASE(vfork_child_closes_before_exec)
{
    struct pair p = tcp_pair();
    char *argv[] = { trace_self, "--again", "gone", number(p.s), NULL };
    pid_t child = vfork();
    if (child == 0) {
        close(p.s);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    REAP(child);
    T(write(p.s, "parent", 6));
    AWAIT_OCTETS(p.c, 6);
    READ(p.c, 16);
}

CASE(posix_spawn_with_dup2)
{
    struct pair p = tcp_pair();
    char *argv[] = { trace_self, "--again", "echo", "9", NULL };
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, p.s, 9);
    posix_spawn_file_actions_addclose(&actions, p.s);
    T(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    MUST(posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ));
    REAP(child);
    AWAIT_OCTETS(p.c, 9);
    READ(p.c, 32);
}

CASE(system_writes_into_a_connection)
{
    struct pair p = tcp_pair();
    char command[64];
    snprintf(command, sizeof command, "echo shell >&%d", p.s);
    if (p.s > 9) /* the shell knows one digit */
        dup2(p.s, 9), snprintf(command, sizeof command, "echo shell >&9");
    trace("system: %d", system(command));
    AWAIT_OCTETS(p.c, 6);
    READ(p.c, 16);
}

CASE(socket_as_standard_output_of_a_program)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        dup2(p.s, 0);
        dup2(p.s, 1);
        close(p.c);
        close(p.s);
        execl("/bin/cat", "cat", NULL);
        _exit(127);
    }
    MUST(close(p.s));
    T(write(p.c, "through cat", 11));
    AWAIT_OCTETS(p.c, 11);
    READ(p.c, 32);
    T(shutdown(p.c, SHUT_WR));
    REAP(child);
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
}

CASE(dup_shares_everything)
{
    struct pair p = tcp_pair();
    int copy = FD(dup(p.s));
    nonblocking(copy);
    trace("O_NONBLOCK of the original: %d", !!(fcntl(p.s, F_GETFL) & O_NONBLOCK));
    NAMES(copy);
    T(close(p.s));
    SETTLE(p.c);
    WRITE(copy, "copy");
    AWAIT_OCTETS(p.c, 4);
    READ(p.c, 16);
    T(close(copy));
    AWAIT(p.c, POLLRDHUP);
}

CASE(dup2_closes_what_was_there)
{
    struct pair p = tcp_pair(), q = tcp_pair();
    T(dup2(p.s, q.s) == q.s);
    NOTE("the old connection of that number has ended");
    AWAIT(q.c, POLLRDHUP);
    WRITE(q.s, "over the first");
    AWAIT_OCTETS(p.c, 14);
    READ(p.c, 32);
    T(dup2(p.s, p.s) == p.s);
    WRITE(p.s, "x");
}

CASE(dup3_and_f_dupfd_cloexec)
{
    struct pair p = tcp_pair();
    T(dup3(p.s, 20, O_CLOEXEC));
    T(fcntl(20, F_GETFD));
    int copy = FD(fcntl(p.s, F_DUPFD_CLOEXEC, 30));
    T(fcntl(copy, F_GETFD));
    T(fcntl(p.s, F_DUPFD, 40));
    NAMES(20);
    NAMES(40);
    WRITE(40, "x");
    AWAIT_OCTETS(p.c, 1);
}

CASE(dup_of_a_fresh_socket_then_connect)
{
    struct addr server;
    int l = listener(&server), fd = tcp4(), copy = MUST(dup(fd));
    T(connect(copy, AT(server)));
    POLL(fd);
    PEERNAME(fd);
    T(connect(fd, AT(server)));
    int s = FD(accept(l, NULL, NULL));
    WRITE(fd, "x");
    AWAIT_OCTETS(s, 1);
}

CASE(dup_of_a_fresh_socket_then_listen)
{
    struct addr any = v4("127.0.0.1", 0);
    int fd = tcp4(), copy = MUST(dup(fd));
    T(bind(fd, AT(any)));
    T(listen(copy, 4));
    any = local(fd);
    connected_to(&any);
    AWAIT(fd, POLLIN);
    FD(accept(fd, NULL, NULL));
}

CASE(dup_of_a_refused_socket_then_connect_again)
{
    struct addr server, none = nobody();
    int l = listener(&server), fd = tcp4(), copy = MUST(dup(fd));
    T(connect(fd, AT(none)));
    T(connect(fd, AT(server)));
    FD(accept(l, NULL, NULL));
    POLL(copy);
    WRITE(copy, "x");
}

CASE(dup_of_a_nonblocking_refused_socket_then_connect_again)
{
    struct addr server, none = nobody();
    int l = listener(&server), fd = tcp4(), copy = MUST(dup(fd));
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    T(connect(fd, AT(none)));
    T(connect(fd, AT(server)));
    AWAIT(fd, POLLOUT);
    FD(accept(l, NULL, NULL));
    SETTLE(copy);
    WRITE(copy, "x");
}

CASE(number_is_reused_after_close)
{
    struct addr server, none = nobody();
    int l = listener(&server), fd = tcp4(), first = fd;
    nonblocking(fd);
    T(connect(fd, AT(none)));
    AWAIT(fd, POLLERR);
    T(close(fd));
    fd = tcp4();
    trace("same number: %s", fd == first ? "yes" : "no");
    SOERR(fd);
    POLL(fd);
    trace("O_NONBLOCK: %d", !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    T(connect(fd, AT(server)));
    FD(accept(l, NULL, NULL));
    T(close(fd));
    fd = MUST(open("/dev/null", O_RDWR));
    trace("same number: %s", fd == first ? "yes" : "no");
    WRITE(fd, "x");
    READ(fd, 4);
    T(connect(fd, AT(server)));
    T(close(fd));
    int pipes[2];
    MUST(pipe(pipes));
    NAMES(pipes[0]);
    RECV(pipes[0], 4, 0);
}

CASE(numbers_are_the_lowest_free_ones)
{
    struct addr server;
    int l = listener(&server), c = connected_to(&server);
    trace("listener %d, client %d", l, c);
    trace("accepted %ld", (long)accept(l, NULL, NULL));
    trace("socket %d", tcp4());
    trace("dup %d", dup(c));
    trace("pipe %d", (pipe((int[2]){ 0 }), dup(1)));
}

static int send_fd(int channel, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec v = { "f", 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(channel, &m, 0);
}

static int receive_fd(int channel)
{
    int fd = -1;
    char control[CMSG_SPACE(sizeof fd)], x;
    struct iovec v = { &x, 1 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof control };
    if (recvmsg(channel, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

CASE(scm_rights_connection)
{
    int channel[2];
    struct pair p = tcp_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    pid_t child = fork();
    if (child == 0) {
        close(p.s);
        close(p.c);
        int fd = FD(receive_fd(channel[1]));
        NAMES(fd);
        READ(fd, 16);
        WRITE(fd, "received");
        _exit(0);
    }
    T(write(p.c, "hello", 5));
    AWAIT_OCTETS(p.s, 5);
    MUST(send_fd(channel[0], p.s));
    MUST(close(p.s));
    REAP(child);
    AWAIT(p.c, POLLRDHUP);
    READ(p.c, 16);
    READ(p.c, 16);
}

CASE(scm_rights_listener)
{
    int channel[2];
    struct addr server;
    int l = listener(&server);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    pid_t child = fork();
    if (child == 0) {
        close(l);
        int fd = FD(receive_fd(channel[1]));
        SOCKNAME(fd);
        int s = FD(accept(fd, NULL, NULL));
        WRITE(s, "received");
        _exit(0);
    }
    MUST(send_fd(channel[0], l));
    MUST(close(l));
    int c = connected_to(&server);
    REAP(child);
    AWAIT(c, POLLRDHUP);
    READ(c, 16);
}

CASE(scm_rights_in_flight_keeps_the_connection)
{
    int channel[2];
    struct pair p = tcp_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    T(send_fd(channel[0], p.s));
    T(close(p.s));
    SETTLE(p.c);
    T(write(p.c, "hello", 5));
    int fd = FD(receive_fd(channel[1]));
    AWAIT_OCTETS(fd, 5);
    READ(fd, 16);
    T(send_fd(channel[0], fd));
    T(close(fd));
    NOTE("nobody will ever receive it");
    T(close(channel[1]));
    AWAIT(p.c, POLLRDHUP);
}

CASE(scm_rights_fresh_socket)
{
    int channel[2], fd = tcp4();
    struct addr server;
    int l = listener(&server);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
    T(send_fd(channel[0], fd));
    T(close(fd));
    fd = FD(receive_fd(channel[1]));
    T(connect(fd, AT(server)));
    FD(accept(l, NULL, NULL));
    WRITE(fd, "x");
}

CASE(closefrom_then_new_sockets)
{
    struct pair p = tcp_pair();
    (void)p;
    closefrom(3);
    struct pair q = tcp_pair();
    T(write(q.c, "after", 5));
    AWAIT_OCTETS(q.s, 5);
    READ(q.s, 16);
    NAMES(q.s);
    SOERR(q.s);
}

CASE(close_range_of_everything_then_new_sockets)
{
    struct pair p = tcp_pair();
    struct gate go = gate();
    pid_t child = fork();
    if (child == 0) {
        T(close_range(3, ~0u, 0));
        struct pair q = tcp_pair();
        GET(q.c, IPPROTO_TCP, TCP_NODELAY);
        T(write(q.c, "after", 5));
        READ(q.s, 16);
        _exit(0);
    }
    REAP(child);
    SETTLE(p.c);
    (void)go;
    T(close_range(p.c, p.c, 0));
    AWAIT(p.s, POLLRDHUP);
}

CASE(close_loop_over_all_numbers)
{
    tcp_pair();
    for (int fd = 3; fd < 1100; fd++)
        close(fd);
    struct pair q = tcp_pair();
    trace("numbers %d %d %d", q.l, q.c, q.s);
    SET(q.c, IPPROTO_TCP, TCP_NODELAY, 1);
    GET(q.c, IPPROTO_TCP, TCP_NODELAY);
}

CASE(dup2_over_every_number)
{
    struct pair p = tcp_pair();
    int null = MUST(open("/dev/null", O_RDWR));
    for (int fd = 10; fd < 1020; fd++)
        dup2(null, fd);
    SET(p.c, IPPROTO_TCP, TCP_NODELAY, 1);
    GET(p.c, IPPROTO_TCP, TCP_NODELAY);
    NAMES(p.c);
    NOTE("the numbers are still the program's");
    int strange = 0;
    for (int fd = 10; fd < 1020; fd++) {
        struct stat a, b;
        if (fstat(fd, &a) < 0 || fstat(null, &b) < 0 || a.st_rdev != b.st_rdev)
            strange++;
    }
    trace("changed %d", strange);
}

CASE(standard_descriptors_closed)
{
    int out = MUST(fcntl(1, F_DUPFD, 100)), numbers[3];
    close(0);
    close(2);
    numbers[0] = socket(AF_INET, SOCK_STREAM, 0);
    struct addr any = v4("127.0.0.1", 0);
    MUST(bind(numbers[0], AT(any)));
    MUST(listen(numbers[0], 4));
    any = local(numbers[0]);
    numbers[1] = connected_to(&any);
    numbers[2] = MUST(accept(numbers[0], NULL, NULL));
    trace("numbers %d %d %d", numbers[0], numbers[1], numbers[2]);
    T(write(numbers[1], "abc", 3));
    AWAIT_OCTETS(numbers[2], 3);
    READ(numbers[2], 8);
    NAMES(numbers[2]);
    close(out);
}

CASE(daemonised)
{
    struct addr server;
    int l = listener(&server);
    pid_t child = fork();
    if (child == 0) {
        int out = dup(1);
        if (daemon(0, 0) < 0)
            _exit(1);
        dup2(out, 1);
        int s = accept(l, NULL, NULL);
        WRITE(s, "daemon");
        _exit(0);
    }
    REAP(child);
    MUST(close(l));
    int c = connected_to(&server);
    AWAIT(c, POLLRDHUP);
    READ(c, 16);
}

CASE(stopped_process_keeps_its_connection)
{
    struct pair p = tcp_pair();
    pid_t child = fork();
    if (child == 0) {
        char x;
        close(p.c);
        while (read(p.s, &x, 1) == 1 && write(p.s, &x, 1) == 1)
            ;
        _exit(0);
    }
    int status;
    MUST(close(p.s));
    MUST(kill(child, SIGSTOP));
    MUST(waitpid(child, &status, WUNTRACED));
    T(write(p.c, "abc", 3));
    AWAIT_ACKED(p.c);
    SETTLE(p.c);
    MUST(kill(child, SIGCONT));
    AWAIT_OCTETS(p.c, 3);
    READ(p.c, 8);
    T(close(p.c));
    REAP(child);
}
