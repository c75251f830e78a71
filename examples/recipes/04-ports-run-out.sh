# 4. Ephemeral ports run out: "Cannot assign requested address" from connect()
#
# Symptom: EADDRNOTAVAIL under load towards one server, while everything else works.
# Cause:   the client closes first, so each connection keeps a port of ip_local_port_range in
#          TIME-WAIT for 60 s; the limit is per destination address and port.
# Fix:     keep connections alive, or let the server close first. (tcp_tw_reuse, see 15.)
. "$(dirname "$0")/prelude.sh"
programs correct_server client

run tcplab sysctl net.ipv4.tcp_tw_reuse=0
run tcplab sysctl 'net.ipv4.ip_local_port_range=40000 40003'
serve 8080 ./correct_server 8080
serve 8081 ./correct_server 8081
for _ in 1 2 3 4; do run tcplab run -- ./client 8080 hello; done
fails tcplab run -- ./client 8080 hello
run tcplab expect 'connect 127.0.0.1:8080 = EADDRNOTAVAIL' 'state=TIME-WAIT dport=8080 count=4'
fails tcplab why connect 127.0.0.1:8080         # the range, and which destination fills it
run tcplab run -- ./client 8081 hello           # another destination still works
run tcplab clock advance 60s
run tcplab run -- ./client 8080 hello
