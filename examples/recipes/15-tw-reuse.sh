# 15. tcp_tw_reuse and timestamps, misunderstood
#
# Symptom: "we set tcp_tw_reuse=1 on the server, and TIME-WAIT is still there".
# Cause:   it lets connect() take over a TIME-WAIT port of its own side after 1 s, and only with
#          timestamps. A server that only listens never calls connect(): nothing changes for it.
# Fix:     set it where connections are made, if at all.
. "$(dirname "$0")/prelude.sh"
programs correct_server client

run tcplab sysctl 'net.ipv4.ip_local_port_range=40000 40000'
run tcplab sysctl net.ipv4.tcp_tw_reuse=0
serve 8080 ./correct_server 8080
run tcplab run -- ./client 8080 hello
run tcplab expect 'state=TIME-WAIT dport=8080 count=1 within 5s'
run tcplab clock advance 2s
fails tcplab run -- ./client 8080 hello
run tcplab sysctl net.ipv4.tcp_tw_reuse=1
run tcplab run -- ./client 8080 hello           # takes the port over
run tcplab clock advance 2s
run tcplab sysctl net.ipv4.tcp_timestamps=0
run tcplab clock advance 60s
run tcplab run -- ./client 8080 hello
run tcplab clock advance 2s
fails tcplab run -- ./client 8080 hello         # without timestamps nobody may
