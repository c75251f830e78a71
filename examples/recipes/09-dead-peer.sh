# 9. A dead peer is never noticed
#
# Symptom: connections stay in ESTAB for days after the other machine has lost its power.
# Cause:   who only waits for data sends nothing, and without sending nothing is ever missed.
# Fix:     SO_KEEPALIVE (after 2 h 11 min by default), TCP_USER_TIMEOUT, or a timeout of your own.
. "$(dirname "$0")/prelude.sh"
programs keepalive_server
actors

serve 8080 ./keepalive_server 8080              # SO_KEEPALIVE with the system's times
client connect 8080
said client 'connect 8080 = 0'
run tcplab expect 'state=ESTAB sport=8080 within 5s'
run tcplab rule add blackhole port 8080         # the cable is cut
run tcplab clock advance 2h
run tcplab expect 'state=ESTAB sport=8080 count=1'
run tcplab clock advance 12m                    # nine probes, 75 s apart
run tcplab expect 'state=ESTAB sport=8080 count=0 within 5s'
run tcplab trace --kind timer --port 8080
