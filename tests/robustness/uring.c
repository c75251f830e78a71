/*
 * Sets up a ring in every way that liburing has, and says which of them the "kernel" refuses; then
 * does without, as programs do: uring PORT
 *
 * Build: cc uring.c -luring
 */
#include "../programs/load.h"

#include <liburing.h>

/* Newer than the oldest liburing that is around. */
__attribute__((weak)) int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring,
                                                  struct io_uring_params *parameters, void *memory,
                                                  size_t len);

static void tell(const char *call, int result)
{
    printf("%s: %s\n", call, result >= 0 ? "a ring" : strerrorname_np(-result));
}

int main(int argc, char **argv)
{
    static char memory[1 << 20] __attribute__((aligned(4096)));
    struct io_uring ring;
    struct io_uring_params p = { 0 }, q = { 0 }, r = { .flags = 1U << 14 /* NO_MMAP */ };
    char octets[8] = "octets";
    if (argc != 2)
        return 2;
    tell("queue_init", io_uring_queue_init(8, &ring, 0));
    tell("queue_init_params", io_uring_queue_init_params(8, &ring, &p));
    if (io_uring_queue_init_mem)
        tell("queue_init_mem", io_uring_queue_init_mem(8, &ring, &r, memory, sizeof memory));
    tell("setup", io_uring_setup(8, &q));
    printf("probe: %s\n", io_uring_get_probe() ? "one" : "none");
    int fd = connect_to(atoi(argv[1]));
    if (write(fd, octets, 6) != 6 || read(fd, octets, 6) != 6)
        die("echo");
    puts("echoed");
    return EXIT_SUCCESS;
}
