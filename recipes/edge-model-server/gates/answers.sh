# On a board: the service answers that it is alive, and a second server with a known model, on ports of its own and
# without rights, recognizes a known image over gRPC. The models of the board are not disturbed.
set -eu
digits=/usr/share/tflite-tools/digits
if [ -d /run/systemd/system ] && systemctl --quiet is-active edge-model-server; then
    edge_model_client health
fi

place=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    [ -z "$server" ] || wait "$server" 2>/dev/null || :
    rm -rf "$place"
}
trap cleanup EXIT
chmod 755 "$place"
install -D -m 644 "$digits/digits.tflite" "$place/digits/1/model.tflite"

# A port of the range that no client gets by itself; another program may have it, so a few are tried.
for port in 18500 18510 18520 18530 18540; do
    setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --no-new-privs \
        edge_model_server --listen=127.0.0.1 "--port=$port" --rest_api_port=0 \
        --model_name=digits "--model_base_path=$place/digits" >"$place/log" 2>&1 &
    server=$!
    tries=0
    while kill -0 "$server" 2>/dev/null && [ "$tries" -lt 300 ]; do
        status=0
        answer=$(edge_model_client --server "127.0.0.1:$port" predict digits --top=1 \
            --input "$digits/digit-7.pgm" 2>"$place/client") || status=$?
        case $status in
        0)
            printf '%s\n' "$answer"
            printf '%s\n' "$answer" | grep -q '^  7 ' || exit 1
            exit 0
            ;;
        3 | 4) ;; # not yet there, or not yet serving: edge_model_client(1)
        *) break ;;
        esac
        tries=$((tries + 1))
        sleep 0.2
    done
    cat "$place/log" "$place/client"
    grep -q 'another program listens there' "$place/log" || exit 1
    server=
done
exit 1
