# 7. SO_LINGER: {1, 0} cuts off, {1, n} blocks in close()
#
# Symptom: data is lost "although it was written", or close() hangs for seconds.
# Cause:   {on, 0} makes close() a RST: unsent octets are thrown away, and there is no TIME-WAIT.
#          {on, n} makes close() wait, at most n seconds, until everything is acknowledged.
# Fix:     leave it off; who must know that the peer has everything, asks the peer.
. "$(dirname "$0")/prelude.sh"
actors

server listen 8080
said server 'listen 8080 = 0'
client connect 8080
server accept
said server 'accept = 0'
client linger 0
client close
run tcplab expect 'rst=1 reason=linger-zero within 5s' 'state=TIME-WAIT count=0'
server read
said server 'ECONNRESET'

server close
server socket
server listen 8081
said server 'listen 8081 = 0'
client socket
client connect 8081
server accept
said client 'connect 8081 = 0'
run tcplab rule add drop from server port 8081  # its ACKs get lost
client linger 2
client write last-words
client close                                    # waits 2 s of the stack's time for an ACK
run tcplab expect 'state=FIN-WAIT-1 dport=8081 within 5s'
run tcplab clock advance 2s
said client 'close = '
