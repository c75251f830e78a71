# What every recipe begins with: tcplab, the example programs, and a session of its own that ends
# with the script. Run a recipe from anywhere: sh examples/recipes/01-restart-eaddrinuse.sh
set -eu

examples=$(cd "$(dirname "$0")/.." && pwd)
# $TCPLAB is the command to use; else that of the repository, else the one installed.
PATH=${TCPLAB:+$(dirname "$TCPLAB"):}$examples/../target/release:$examples/../target/debug:$PATH
command -v tcplab >/dev/null || { echo "no tcplab: cargo build --release"; exit 1; }

work=$(mktemp -d)
cd "$work"
export TCPLAB_SESSION="recipe-$$"
started=''
trap 'end $?' EXIT
trap 'exit 130' INT TERM

# Ends what the recipe has started.
end() {
    trap - EXIT
    for process in $started; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    tcplab down 2>/dev/null || true
    rm -rf "$work"
    [ "$1" = 0 ] || echo "recipe FAILED"
    exit "$1"
}

# Shows a command and runs it.
run() {
    printf '$ %s\n' "$*" >&2
    "$@"
}

# Runs a command that must fail.
fails() {
    printf '$ %s\n' "$*" >&2
    if "$@"; then
        echo "it should have failed"
        exit 1
    fi
}

# Compiles programs of examples/ into this directory.
programs() {
    for name in "$@"; do
        ${CC:-cc} -pthread -o "$name" "$examples/$name.c"
    done
}

# serve PORT COMMAND...: starts a server over the session's stack and waits until it listens.
serve() {
    port=$1
    shift
    printf '$ tcplab run -- %s &\n' "$*" >&2
    tcplab up
    tcplab run -- "$@" &
    server_pid=$!
    started="$started $!"
    tcplab expect -q "state=LISTEN sport=$port within 20s"
}

# Two programs that make the socket calls they are told, one after the other:
# `server listen 8080`, `client connect 8080`, `client write hello`.
actors() {
    programs calls
    tcplab up
    mkfifo to_server to_client
    tcplab run -- ./calls <to_server >server.out 2>&1 &
    started="$started $!"
    tcplab run -- ./calls <to_client >client.out 2>&1 &
    started="$started $!"
    exec 3>to_server 4>to_client
}

server() {
    printf 'server> %s\n' "$*" >&2
    echo "$*" >&3
}

client() {
    printf 'client> %s\n' "$*" >&2
    echo "$*" >&4
}

# said server|client PATTERN: waits until it has printed that.
said() {
    tries=0
    until grep -q -- "$2" "$1.out"; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "$1 has not said '$2':"; cat "$1.out"; exit 1; }
        sleep 0.05
    done
    grep -- "$2" "$1.out" | tail -n 1
}
