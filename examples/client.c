/*
 * Client: connects, sends, reads until the end.
 *
 * Build: cc -o client client.c
 *   client PORT TEXT...     sends each TEXT as a line, reads each answer line
 *   client -n COUNT PORT    sends COUNT octets and reads COUNT octets back, checking each
 * Then it closes its direction by shutdown(SHUT_WR), reads until read() returns 0, and says how
 * many octets have come in all. It closes first, so TIME-WAIT is on its side.
 *   -c  does not wait for the server's end but closes at once (a leaking server would let it wait
 *       for ever)
 *   -e  reads until the server's end before it closes its own direction: the server closes first
 *   -b  binds its own port to LOCAL first; -r sets SO_REUSEADDR before that
 */
#include "client.h"

static size_t received;

/* Reads up to the end of a line and prints it. */
static void read_line(int fd)
{
    char c;
    ssize_t n;
    while ((n = read(fd, &c, 1)) == 1) {
        received++;
        putchar(c);
        if (c == '\n')
            return;
    }
    if (n < 0)
        die("read");
}

static char octet_at(size_t position) { return (char)(position * 131 + (position >> 8)); }

/* Sends and reads back in pieces, so that neither side's buffers fill up for good. */
static void exchange(int fd, size_t count)
{
    static char out[16384], in[16384];
    for (size_t sent = 0; sent < count;) {
        size_t piece = count - sent < sizeof out ? count - sent : sizeof out;
        for (size_t i = 0; i < piece; i++)
            out[i] = octet_at(sent + i);
        if (write_all(fd, out, piece) < 0)
            die("write");
        sent += piece;
        while (received < sent) {
            ssize_t n = read(fd, in, sizeof in);
            if (n < 0)
                die("read");
            if (n == 0) {
                fprintf(stderr, "end after %zu of %zu octets\n", received, count);
                exit(EXIT_FAILURE);
            }
            for (ssize_t i = 0; i < n; i++, received++)
                if (in[i] != octet_at(received)) {
                    fprintf(stderr, "octet %zu is wrong\n", received);
                    exit(EXIT_FAILURE);
                }
        }
    }
}

int main(int argc, char **argv)
{
    const char *usage = "client [-c|-e] [-r] [-b LOCAL] [-n COUNT] PORT [TEXT...]";
    size_t count = 0;
    int close_at_once = 0, server_first = 0, local = 0, option;
    enum reuse reuse = NO_REUSE;
    while ((option = getopt(argc, argv, "+cerb:n:")) != -1)
        if (option == 'c')
            close_at_once = 1;
        else if (option == 'e')
            server_first = 1;
        else if (option == 'r')
            reuse = REUSE_ADDRESS;
        else if (option == 'b')
            local = parse_port(optarg, usage);
        else if (option == 'n')
            count = strtoul(optarg, NULL, 10);
        else
            parse_port(NULL, usage);
    int port = parse_port(optind < argc ? argv[optind] : NULL, usage);
    int fd = connect_from(local, reuse, port);
    exchange(fd, count);
    for (int i = optind + 1; i < argc; i++) {
        if (write_all(fd, argv[i], strlen(argv[i])) < 0 || write_all(fd, "\n", 1) < 0)
            die("write");
        read_line(fd);
    }
    if (server_first) {
        received += read_to_end(fd);
    } else if (!close_at_once) {
        /* "I have nothing more to say": our FIN. We still listen. */
        if (shutdown(fd, SHUT_WR) < 0)
            die("shutdown");
        received += read_to_end(fd);
    }
    printf("received %zu octets\n", received);
    close(fd);
    return EXIT_SUCCESS;
}
