# 8. The server dies without a word: SIGPIPE
#
# Symptom: a server ends with status 141 (128 + SIGPIPE) when clients go away.
# Cause:   the first write() after the client's close provokes a RST; the next one finds the connection
#          dead: EPIPE, and SIGPIPE, which ends a process that has not asked otherwise.
# Fix:     signal(SIGPIPE, SIG_IGN) or MSG_NOSIGNAL, and look at what write() returns.
. "$(dirname "$0")/prelude.sh"
actors

server listen 8080
said server 'listen 8080 = 0'
client connect 8080
server accept
said server 'accept = 0'
client close
run tcplab expect 'state=CLOSE-WAIT sport=8080 within 5s'
server write first                              # taken; the answer is a RST
run tcplab expect 'rst=1 within 5s'
server write second                             # this one is told; the program survives it
said server 'EPIPE SIGPIPE'
