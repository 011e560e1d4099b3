# A first model as README.Debian brings it up, answered over REST and gRPC by the command line of the unit; then a new
# version, a refusal and an end in order. Everything that the check makes is removed: a purge must find no trace of it.
# Without systemd its part is played here: the unit's command line and settings, a user without rights, no capability.
edge_model_server --version
echo "by the other name: $(tensorflow_model_server --version)"
getent group plugdev apex >/dev/null && echo "groups: plugdev and apex"

code=0
edge_model_client health || code=$?
echo "no server: $code"

digits=/usr/share/tflite-tools/digits
models=/var/lib/edge-model-server/models/first
config=/etc/edge-model-server/models.config
rest=http://127.0.0.1:8501
log=$(mktemp)
server=
cp "$config" "$config.shipped"
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    mv "$config.shipped" "$config"
    rm -r "$models"
    cat "$log"
    rm "$log"
}
trap cleanup EXIT

# The README's first two commands; the third asks systemd.
commands=$(sed -n 's/^    sudo \(install\|sed\) /\1 /p' /usr/share/doc/edge-model-server/README.Debian)
eval "$(printf '%s\n' "$commands" | sed "s|MODEL|$digits/digits.tflite|")"
edge_model_server --check-config "--model_config_file=$config"

unit=$(dpkg-query -L edge-model-server | grep '/edge-model-server\.service$')
command=$(sed -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' "$unit" | sed -n 's/^ExecStart=//p')
. /etc/default/edge-model-server
eval "set -- $command"
echo "command: $*"
setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --no-new-privs "$@" >"$log" 2>&1 &
server=$!

# until COMMAND...: wait until a command succeeds, for as long as the server runs.
until_true() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        kill -0 "$server" || return 1
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || return 1
        sleep 0.2
    done
}
available() { curl -fsS "$rest/v1/models/first/versions/$1" | grep -q AVAILABLE; }

until_true available 1
echo "version 1: available"
echo "health: $(edge_model_client health)"
edge_model_client metadata first

# The image as JSON: pixels of 0 to 16 become int8 of -128 to 127.
json() {
    awk '!/^#/ {for (i = 1; i <= NF; i++) word[n++] = $i}
        END {
            printf "{\"instances\": [["
            for (row = 0; row < 8; row++) {
                printf "%s[", row ? ", " : ""
                for (column = 0; column < 8; column++)
                    printf "%s[%d]", column ? ", " : "", int(word[4 + row * 8 + column] * 255 / word[3] + 0.5) - 128
                printf "]"
            }
            print "]]}"
        }' "$1"
}

# Prints the index of the greatest number in {"predictions": [[...]]}.
greatest() {
    tr -d ' \n' | sed 's/.*\[\[\([^]]*\)\]\].*/\1/' | tr , '\n' |
        awk 'NR == 1 || $1 + 0 > best {best = $1 + 0; at = NR - 1} END {print at}'
}

for digit in 0 1 2 3 4 5 6 7 8 9; do
    json "$digits/digit-$digit.pgm" >/tmp/request.json
    echo "rest=$(curl -fsS -d @/tmp/request.json "$rest/v1/models/first:predict" | greatest)"
    echo "grpc=$(edge_model_client predict first --top=1 --input "$digits/digit-$digit.pgm" | sed -n 's/^  \([0-9]\) .*/\1/p')"
done
rm /tmp/request.json
echo "refused: $(curl -sS -o /dev/null -w '%{http_code}' -d '{"instances": [[1]]}' "$rest/v1/models/first:predict")"
echo "unknown: $(curl -sS -d '{"instances": [1]}' "$rest/v1/models/second:predict" | tr -s ' \n' '  ')"
curl -fsS "$rest/monitoring/prometheus/metrics" | grep -q '^:tensorflow:serving:request_count{.*"first".* [1-9]' &&
    echo "requests are counted"

# A new version takes the place of the old one by itself.
cp -r "$models/1" "$models/2"
until_true available 2
echo "version 2: available"

kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
echo "stopped: $code"
