/*
 * A thread waits in accept() while another fills the descriptor table: filling PORT
 *
 * Nothing that the client sends is lost: accept() says EMFILE until there is room, then has the
 * connection.
 */
#include "../programs/load.h"

#include <pthread.h>
#include <sys/resource.h>

static int listener, accepted, accept_errno;

static void *wait_for_a_client(void *nothing)
{
    accepted = accept(listener, NULL, NULL);
    accept_errno = accepted < 0 ? errno : 0;
    return nothing;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    struct sockaddr_in address = loopback(atoi(argv[1]));
    struct rlimit limit = { 64, 64 };
    pthread_t waiter;
    char octet = 'x';
    int filler[64], count = 0;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0)
        die("listen");
    int client = socket(AF_INET, SOCK_STREAM, 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    pthread_create(&waiter, NULL, wait_for_a_client, NULL);
    /* Waits long before 100 ms are over; if not, accept() says EMFILE, and nothing is lost either. */
    usleep(100000);
    while (count < 64 && (filler[count] = dup(1)) >= 0)
        count++;
    if (connect(client, (struct sockaddr *)&address, sizeof address) < 0 || write(client, "x", 1) != 1)
        die("client");
    pthread_join(waiter, NULL);
    while (count > 0)
        close(filler[--count]);
    if (accept_errno != 0 && accept_errno != EMFILE)
        die("accept");
    if (accept_errno == EMFILE)
        accepted = accept(listener, NULL, NULL);
    if (accepted < 0 || read(accepted, &octet, 1) != 1)
        die("the connection was lost");
    printf("kept\n");
    return EXIT_SUCCESS;
}
