# 13. FIN-WAIT-2 for ever
#
# Symptom: connections in FIN-WAIT-2 that do not go away, or do after exactly 60 s.
# Cause:   our FIN is acknowledged and the peer never sends its own. After close() the connection is an
#          orphan and ends after tcp_fin_timeout; after shutdown() alone it waits as long as we do.
# Fix:     close() when nothing more is wanted; or read on with a timeout.
. "$(dirname "$0")/prelude.sh"
actors

server listen 8080
said server 'listen 8080 = 0'
client connect 8080
server accept
said server 'accept = 0'
client shutdown
run tcplab expect 'state=FIN-WAIT-2 dport=8080 within 5s'
run tcplab clock advance 1h
run tcplab expect 'state=FIN-WAIT-2 dport=8080 count=1'         # held: for ever
client close
run tcplab expect 'orphans=1 within 5s'
run tcplab clock advance 60s
run tcplab expect 'state=FIN-WAIT-2 count=0 within 5s'          # orphan: tcp_fin_timeout
