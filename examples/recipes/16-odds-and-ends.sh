# 16. Seldom, and never forgotten: self-connect, a reset in the accept queue, overflowing TIME-WAIT
#
# * A client that tries ephemeral ports of its own machine until one answers can reach itself.
# * A connection can be dead before accept() returns it: Linux gives it out all the same.
# * More than tcp_max_tw_buckets TIME-WAITs: the surplus is destroyed at once, and counted.
. "$(dirname "$0")/prelude.sh"
programs correct_server client
actors

client bind 40000
client connect 40000                            # nobody listens: it is simultaneous open
said client 'connect 40000 = 0'
client write hello-me
client read
said client 'read = 8 "hello-me"'
client close
run tcplab expect 'state=ESTAB count=0 within 5s'

run tcplab rule add reset in accept-queue port 8080
server listen 8080
said server 'listen 8080 = 0'
client socket
client connect 8080
said client 'connect 8080 = 0'
run tcplab expect 'state=ESTAB sport=8080 count=0 within 5s'
server accept
said server 'accept = 0'
server read
said server 'ECONNRESET'
run tcplab rule flush

run tcplab sysctl net.ipv4.tcp_max_tw_buckets=1
serve 8081 ./correct_server 8081
for _ in 1 2 3; do run tcplab run -- ./client 8081 hello; done
run tcplab expect 'TcpExtTCPTimeWaitOverflow >= 2 within 5s' 'time_wait<=1'
