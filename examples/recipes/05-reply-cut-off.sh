# 5. The end of the reply is missing: the server's close() sent a RST
#
# Symptom: "Connection reset by peer" while reading a reply that the server says it has sent.
# Cause:   close() with octets of the request unread sends RST instead of FIN, and a RST throws away
#          what the client has received but not read.
# Fix:     read the request to its end, or shutdown(SHUT_WR), read until 0, and then close().
. "$(dirname "$0")/prelude.sh"
actors

server listen 8080
said server 'listen 8080 = 0'
client connect 8080
server accept
client write request-and-more
said server 'accept = 0'
server read 7
said server 'read 7 = 7 "request"'
server write reply
server close                                    # "-and-more" was never read
run tcplab expect 'rst=1 reason=closed-with-unread-data within 5s'
client read
said client 'read = '
client read
said client 'ECONNRESET'
