/* Timeouts, signals, EINTR and SA_RESTART, threads and cancellation. */
#include "trace.h"

static void interrupt(struct helper *h)
{
    pthread_kill(h->caller, SIGUSR1);
}

/* Interrupts, sees the call block again, then lets it finish by writing to `argument`. */
static void interrupt_then_write(struct helper *h)
{
    pthread_kill(h->caller, SIGUSR1);
    AWAIT_TRUE(signal_count > 0);
    wait_blocked(h->caller_tid);
    MUST(write(h->argument, "late", 4));
}

static void interrupt_then_connect(struct helper *h)
{
    struct addr at = local(h->argument);
    pthread_kill(h->caller, SIGUSR1);
    AWAIT_TRUE(signal_count > 0);
    wait_blocked(h->caller_tid);
    MUST(connect(tcp4(), AT(at)));
}

/* Blocks the calling thread in a write by filling all buffers. */
static long fill(int fd)
{
    static char block[1 << 18];
    return write(fd, block, sizeof block);
}

CASE(read_eintr)
{
    struct pair p = tcp_pair();
    struct helper h;
    on_signal(SIGUSR1, 0);
    when_blocked(&h, interrupt, 0);
    READ(p.s, 8);
    helper_done(&h);
    T(write(p.c, "abc", 3));
    READ(p.s, 8);
}

CASE(read_restart)
{
    struct pair p = tcp_pair();
    struct helper h;
    on_signal(SIGUSR1, SA_RESTART);
    when_blocked(&h, interrupt_then_write, p.c);
    READ(p.s, 8);
    helper_done(&h);
}

CASE(recv_waitall_eintr_gives_what_came)
{
    struct pair p = tcp_pair();
    struct helper h;
    on_signal(SIGUSR1, 0);
    MUST(write(p.c, "abc", 3));
    when_blocked(&h, interrupt, 0);
    RECV(p.s, 8, MSG_WAITALL);
    helper_done(&h);
}

CASE(read_with_timeout_eintr_even_with_restart)
{
    struct pair p = tcp_pair();
    struct helper h;
    on_signal(SIGUSR1, SA_RESTART);
    receive_timeout(p.s, 5000);
    when_blocked(&h, interrupt, 0);
    READ(p.s, 8);
    helper_done(&h);
}

CASE(accept_eintr)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    on_signal(SIGUSR1, 0);
    when_blocked(&h, interrupt, 0);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
    connected_to(&server);
    FD(accept(l, NULL, NULL));
}

CASE(accept_restart)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    on_signal(SIGUSR1, SA_RESTART);
    when_blocked(&h, interrupt_then_connect, l);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
}

CASE(accept_with_timeout_eintr_even_with_restart)
{
    struct addr server;
    struct helper h;
    int l = listener(&server);
    on_signal(SIGUSR1, SA_RESTART);
    receive_timeout(l, 5000);
    when_blocked(&h, interrupt, 0);
    FD(accept(l, NULL, NULL));
    helper_done(&h);
}

CASE(write_eintr_gives_what_was_taken)
{
    struct pair p = tcp_pair();
    struct helper h;
    long n;
    int error;
    static char block[1 << 24];
    on_signal(SIGUSR1, 0);
    when_blocked(&h, interrupt, 0);
    n = write(p.c, block, sizeof block);
    helper_done(&h);
    trace("a part: %s", n > 0 && n < (long)sizeof block ? "yes" : "no");
    NOTE("buffers are full now");
    do {
        fill_up(p.c);
        fcntl(p.c, F_SETFL, 0);
        when_blocked(&h, interrupt, 0);
        errno = 0;
        n = fill(p.c);
        error = errno;
        helper_done(&h);
    } while (n > 0); /* a late window update has made room after all */
    errno = error;
    trace_number("write", n);
}

CASE(poll_and_select_eintr)
{
    struct pair p = tcp_pair();
    struct helper h;
    struct pollfd f = { .fd = p.s, .events = POLLIN };
    fd_set r;
    on_signal(SIGUSR1, SA_RESTART);
    when_blocked(&h, interrupt, 0);
    T(poll(&f, 1, DEADLINE_MS));
    helper_done(&h);
    FD_ZERO(&r);
    FD_SET(p.s, &r);
    when_blocked(&h, interrupt, 0);
    T(select(p.s + 1, &r, NULL, NULL, NULL));
    helper_done(&h);
}

CASE(receive_timeout)
{
    struct pair p = tcp_pair();
    receive_timeout(p.s, 100);
    long since = now_ms();
    READ(p.s, 8);
    trace_waited(since, 100);
    RECV(p.s, 8, MSG_WAITALL);
    NOTE("still a good connection");
    T(write(p.c, "abc", 3));
    READ(p.s, 8);
}

CASE(send_timeout)
{
    struct pair p = tcp_pair();
    struct timeval t = { 0, 100000 };
    setsockopt(p.c, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    long n;
    errno = 0;
    while ((n = fill(p.c)) > 0)
        errno = 0;
    trace_number("write", n);
    POLL(p.c);
}

CASE(send_timeout_gives_what_was_taken)
{
    struct pair p = tcp_pair();
    struct timeval t = { 0, 100000 };
    static char block[1 << 24];
    setsockopt(p.c, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    long n = write(p.c, block, sizeof block);
    trace("a part: %s", n > 0 && n < (long)sizeof block ? "yes" : "no");
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct worker {
    pthread_t thread;
    volatile int tid;
    int fd;
    struct addr to;
    volatile int cleaned;
};

static void clean(void *argument) { ((struct worker *)argument)->cleaned = 1; }

static void *read_forever(void *argument)
{
    struct worker *w = argument;
    char x[8];
    w->tid = gettid();
    pthread_cleanup_push(clean, w);
    while (read(w->fd, x, sizeof x) >= 0)
        ;
    pthread_cleanup_pop(0);
    return NULL;
}

static void *accept_forever(void *argument)
{
    struct worker *w = argument;
    w->tid = gettid();
    pthread_cleanup_push(clean, w);
    while (accept(w->fd, NULL, NULL) >= 0)
        ;
    pthread_cleanup_pop(0);
    return NULL;
}

static void *connect_forever(void *argument)
{
    struct worker *w = argument;
    w->tid = gettid();
    pthread_cleanup_push(clean, w);
    connect(w->fd, AT(w->to));
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(void *(*what)(void *), int fd, struct addr to)
{
    struct worker w = { .fd = fd, .to = to };
    void *result = NULL;
    MUST(pthread_create(&w.thread, NULL, what, &w));
    AWAIT_TRUE(w.tid != 0);
    wait_blocked(w.tid);
    T(pthread_cancel(w.thread));
    T(pthread_join(w.thread, &result));
    trace("cancelled %d, cleaned up %d", result == PTHREAD_CANCELED, w.cleaned);
}

CASE(cancel_in_read)
{
    struct pair p = tcp_pair();
    cancel(read_forever, p.s, p.server);
    T(write(p.c, "abc", 3));
    READ(p.s, 8);
}

CASE(cancel_in_accept)
{
    struct addr server;
    int l = listener(&server);
    cancel(accept_forever, l, server);
    connected_to(&server);
    int s = FD(accept(l, NULL, NULL));
    GET(s, IPPROTO_TCP, TCP_NODELAY);
}

CASE(cancel_in_connect)
{
    struct addr server;
    int l = deaf_listener(&server), fd = tcp4();
    (void)l;
    cancel(connect_forever, fd, server);
    NOTE("other calls work as before");
    GET(fd, SOL_SOCKET, SO_TYPE);
    STATE(fd);
    T(close(fd));
    struct pair p = tcp_pair();
    PEERNAME(p.s);
}

static void *exchange_much(void *argument)
{
    struct addr *server = argument;
    for (int i = 0; i < 20; i++) {
        int c = connected_to(server);
        char x = i;
        if (set_int(c, IPPROTO_TCP, TCP_NODELAY, 1) < 0 || write(c, &x, 1) != 1 ||
            read(c, &x, 1) != 1 || x != i || get_int(c, SOL_SOCKET, SO_ERROR) != 0)
            return "wrong";
        reset(c);
    }
    return NULL;
}

static void *serve_much(void *argument)
{
    struct worker *w = argument;
    int s;
    while ((s = accept(w->fd, NULL, NULL)) >= 0) {
        char x;
        if (read(s, &x, 1) == 1 && write(s, &x, 1) != 1)
            return "wrong";
        read(s, &x, 1);
        close(s);
    }
    return NULL;
}

CASE(many_threads_at_once)
{
    struct addr server = v4("127.0.0.1", 0);
    struct worker w[2] = { { .fd = listener_at(&server, 100) } };
    pthread_t clients[4];
    w[1].fd = w[0].fd;
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&w[i].thread, NULL, serve_much, &w[i]));
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&clients[i], NULL, exchange_much, &server));
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(clients[i], &result);
        trace("client: %s", result ? "wrong" : "right");
    }
    T(shutdown(w[0].fd, SHUT_RD));
    for (int i = 0; i < 2; i++)
        pthread_join(w[i].thread, NULL);
}

static void *hammer_options(void *argument)
{
    volatile int *stop = argument;
    int fd = tcp4();
    while (!*stop) {
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        get_int(fd, SOL_SOCKET, SO_KEEPALIVE);
    }
    return NULL;
}

CASE(fork_while_other_threads_are_in_calls)
{
    static volatile int stop;
    pthread_t busy[2];
    struct addr server = v4("127.0.0.1", 0);
    int bad = 0;
    listener_at(&server, 100);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&busy[i], NULL, hammer_options, (void *)&stop));
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            int c = connected_to(&server);
            reset(c);
            _exit(get_int(tcp4(), SOL_SOCKET, SO_TYPE) == SOCK_STREAM ? 0 : 1);
        }
        int status = 0;
        MUST(waitpid(child, &status, 0));
        bad += status != 0;
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(busy[i], NULL);
    trace("children that failed or hung: %d", bad);
}

static volatile int handler_result;
static int handler_fd;
static void call_from_handler(int number)
{
    (void)number;
    int saved = errno;
    handler_result = get_int(handler_fd, SOL_SOCKET, SO_TYPE) + 1;
    struct addr a = { .len = sizeof a.ss };
    if (getpeername(handler_fd, &a.sa, &a.len) < 0)
        handler_result = -1;
    errno = saved;
}

CASE(calls_from_a_signal_handler)
{
    struct pair p = tcp_pair();
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = call_from_handler, .sa_flags = SA_RESTART };
    int wrong = 0;
    handler_fd = p.c;
    MUST(sigaction(SIGALRM, &action, NULL));
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    long end = now_ms() + 200;
    while (now_ms() < end) {
        wrong += set_int(p.c, SOL_SOCKET, SO_KEEPALIVE, 1) != 0;
        wrong += get_int(p.c, SOL_SOCKET, SO_KEEPALIVE) != 1;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL));
    trace("handler saw type %d, wrong answers %d", handler_result - 1, wrong);
}
