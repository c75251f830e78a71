# 10. connect() hangs for two minutes, or its failure is not noticed
#
# Symptom: a client hangs when a firewall drops packets; or a non-blocking connect() "succeeds".
# Cause:   a lost SYN is sent again and again, for 131 s (127 s on older kernels); a non-blocking
#          connect() tells its outcome by SO_ERROR once the socket is writable, and writable is not
#          connected.
# Fix:     non-blocking connect() with a timeout of your own; always ask SO_ERROR.
. "$(dirname "$0")/prelude.sh"
actors

run tcplab rule add drop syn port 8080          # silence
client connect 8080
run tcplab expect 'state=SYN-SENT dport=8080 within 5s'
run tcplab clock advance 130s
said client 'connect 8080 = -1 ETIMEDOUT'
run tcplab rule flush
client connect 8081                             # nobody there: refused at once
said client 'connect 8081 = -1 ECONNREFUSED'
run tcplab expect 'rst=1 reason=no-listener'
