# 3. A child keeps the port: the server is gone, the port is not
#
# Symptom: EADDRINUSE after a restart, and `ss -lp` shows a process that is no server at all.
# Cause:   fork() and exec() hand every descriptor down that has not FD_CLOEXEC.
# Fix:     SOCK_CLOEXEC at socket() and accept4(), or close descriptors before exec().
. "$(dirname "$0")/prelude.sh"
programs correct_server leaks_to_child

serve 8080 ./leaks_to_child 8080                # listens, and starts `sleep` without closing
kill "$server_pid"
run tcplab expect 'program=leaks_to_child count=0 within 5s' 'state=LISTEN sport=8080 program=sleep'
fails tcplab run -- ./correct_server 8080
fails tcplab why bind :8080                     # names the child
run tcplab ss -ltnp
