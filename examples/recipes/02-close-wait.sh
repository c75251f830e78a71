# 2. Connections pile up in CLOSE-WAIT until accept() fails with EMFILE
#
# Symptom: `ss` shows more and more CLOSE-WAIT, lsof "can't identify protocol", "Too many open files".
# Cause:   read() returned 0 (the peer's FIN) and nobody called close(). No timer ends this state.
# Fix:     close() on every way out of the loop; which way is missing, the report tells.
. "$(dirname "$0")/prelude.sh"
programs correct_server leak_never_closes leak_ignores_eof client

serve 8080 ./leak_never_closes 8080
for _ in 1 2 3; do run tcplab run -- ./client -c 8080 hello; done
run tcplab expect 'state=CLOSE-WAIT sport=8080 count=3 within 5s'
fails tcplab leaks --older 0s                   # process, descriptors, age, which bug, where
kill "$server_pid"
run tcplab expect 'state=CLOSE-WAIT count=0 within 5s'

serve 8081 ./leak_ignores_eof 8081              # the other bug: it goes on reading
run tcplab run -- ./client -c 8081 hello
run tcplab expect 'state=CLOSE-WAIT sport=8081 count=1 within 5s'
fails tcplab leaks --older 0s

serve 8082 ./correct_server 8082
run tcplab run -- ./client 8082 hello
run tcplab expect 'state=CLOSE-WAIT sport=8082 count=0 within 5s'
