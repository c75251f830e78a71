# 14. What happens when the last ACK, the FIN or the SYN gets lost
#
# Symptom: "what if that segment is lost?", the question of every review of connection handling.
# Answer:  each segment that matters is sent again until it is acknowledged: look.
. "$(dirname "$0")/prelude.sh"
programs correct_server client

run tcplab rule add drop syn nth 1
run tcplab rule add drop fin from server nth 1
run tcplab rule add drop ack-of-fin from client nth 1
run tcplab clock scale 20x                      # retransmissions take a second; not here
serve 8080 ./correct_server 8080
run tcplab run -- ./client 8080 hello
run tcplab expect 'retransmissions>=3 within 20s' 'rst=0' 'state=LAST-ACK count=0 within 20s'
run tcplab rule list
run tcplab diagram --width 100
