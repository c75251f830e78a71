# 12. accept() fails with EMFILE, and the server spins at 100 % CPU
#
# Symptom: "Too many open files" in an endless loop; or, with edge-triggered epoll, said once, and
#          new connections hang.
# Cause:   accept() leaves the connection in the queue when it finds no free descriptor, so the
#          listener stays readable: poll() returns at once, again and again, and an edge does not
#          come again at all.
# Fix:     raise the limit, and when EMFILE comes: stop accepting for a moment, or keep a spare
#          descriptor to accept and close with.
. "$(dirname "$0")/prelude.sh"
programs epoll_server calls

serve 8080 sh -c 'ulimit -n 16; exec ./epoll_server 8080 2>server.errors'
mkfifo to_client
tcplab run -- ./calls <to_client >client.out &
started="$started $!"
exec 4>to_client
for _ in $(seq 16); do
    client connect 8080
    client socket
done
run tcplab expect 'accept = EMFILE within 10s'
run tcplab expect 'state=ESTAB dport=8080 count=16 within 5s'    # those that wait are not lost
