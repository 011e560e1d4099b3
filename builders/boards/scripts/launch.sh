# Starts the program of a receipt as a unit of its own, which goes on without this connection.
# stamp; mode: nothing installs, or continues; test only tests again; back returns to the packages before.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

here=$state/receipts/$stamp
[ -r "$here/run.sh" ] || { fact failed "another rollout took over: $here is gone"; exit 75; }
now=$(cut -d' ' -f1 "$here/state")
holder=$(quiet cat "$state/holder")
# Another rollout may be at work, or may have begun since this was staged: the last that was staged goes on.
case "$holder" in
*"$stamp"*) ;;
*) [ "$now" != staged ] || { fact failed "another rollout took over: $holder"; exit 75; } ;;
esac
if ! flock -w 5 "$state/lock" true; then
    case "$mode $holder" in
    " "*"$stamp"*) fact end complete; exit 0 ;;
    *) fact failed "another rollout is at work on it: $holder"; exit 75 ;;
    esac
fi
# The program that came to its end may still be about to exit; only then does systemd start it again.
case $now in
good | rolled-back | broken) [ ! -d /run/systemd/system ] || quiet systemctl stop "$unit" ;;
esac
case $mode in
test) printf 'gating %s\n' "$(boot_and_uptime)" ;;
back) printf 'rolling-back %s asked for\n' "$(boot_and_uptime)" ;;
*) cat "$here/state" ;;
esac >"$here/state.new"
mv "$here/state.new" "$here/state"
begun=$(cat "$here/state")
if [ ! -d /run/systemd/system ]; then
    setsid sh "$here/run.sh" >/dev/null 2>&1 </dev/null &
else
    { add_unit && systemctl start --no-block "$unit"; } || exit 74
fi
# Whoever waits for the program takes a free lock for its end, so it must have begun.
tries=50
while [ "$tries" -gt 0 ] && [ "$(cat "$here/state")" = "$begun" ] && flock -n "$state/lock" true; do
    tries=$((tries - 1))
    sleep 0.1
done
fact end complete
