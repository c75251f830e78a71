# 6. Half-close is taken for close: no reply after the client's FIN
#
# Symptom: `printf request | nc host port` (or any client that shuts down its direction) gets nothing.
# Cause:   the server takes read() == 0 for "the client is gone" and closes without answering.
# Fix:     0 ends the request, not the connection: answer, then close.
. "$(dirname "$0")/prelude.sh"
programs bulk_server half_close_client

serve 8080 ./bulk_server 8080 100000
run tcplab run -- ./half_close_client 8080      # sends FIN first, then reads the whole reply
run tcplab expect 'rst=0' 'state=TIME-WAIT dport=8080 within 5s' 'state=LAST-ACK count=0 within 5s'
run tcplab diagram --width 100
