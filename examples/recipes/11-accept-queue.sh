# 11. Connections time out though the server is up: the accept queue is full
#
# Symptom: clients connect and then hang; `netstat -s` counts "listen queue of a socket overflowed".
# Cause:   the kernel completes handshakes for a server that does not accept(), up to the backlog
#          and no further; then it drops SYNs. (net.core.somaxconn caps what listen() asks for.)
# Fix:     accept() sooner, a larger backlog, and a larger somaxconn.
. "$(dirname "$0")/prelude.sh"
run tcplab sysctl net.core.somaxconn=1
actors

server listen 8080                              # and no accept()
said server 'listen 8080 = 0'
for _ in 1 2; do
    client connect 8080
    client socket
done
run tcplab expect 'state=ESTAB sport=8080 count=2 within 5s'
client connect 8080                             # the third gets no answer
run tcplab expect 'TcpExtListenOverflows >= 1 within 5s' 'state=SYN-SENT dport=8080 within 5s'
run tcplab ss -ltn                              # Recv-Q: waiting for accept(); Send-Q: the limit
server accept
run tcplab clock advance 1s                     # its next SYN finds room
said client 'connect 8080 = 0'
