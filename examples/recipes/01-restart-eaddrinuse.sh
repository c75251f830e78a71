# 1. "bind: Address already in use" after a restart
#
# Symptom: the server is killed and started again, and bind() fails, though `ss -l` shows nobody.
# Cause:   it had closed a connection first; that is in TIME-WAIT on its port for 2MSL, 60 s.
# Fix:     SO_REUSEADDR before bind(), in every version of the server: Linux wants it on the old
#          socket, too. (Not: a shorter timeout; there is no setting for it.)
. "$(dirname "$0")/prelude.sh"
programs closes_first client

serve 8080 ./closes_first -1 8080
run tcplab run -- ./client -e 8080 GET
run tcplab expect 'state=TIME-WAIT sport=8080 within 5s' 'state=LISTEN count=0 within 5s'

fails tcplab run -- ./closes_first -1 8080
run tcplab expect 'bind 8080 = EADDRINUSE'
fails tcplab why bind :8080                     # who is it, how long, what is missing

run tcplab clock advance 60s                    # 2MSL later, in a moment
serve 8080 ./closes_first -r -1 8080            # now with SO_REUSEADDR
run tcplab run -- ./client -e 8080 GET
run tcplab expect 'state=TIME-WAIT sport=8080 within 5s'
serve 8080 ./closes_first -r -1 8080            # and again, at once
run tcplab expect 'bind 8080 = ok'
