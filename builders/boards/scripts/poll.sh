# Waits for the next state of a rollout and prints it.
# stamp; known: the state that was seen last; patience_s: the longest wait, in seconds.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

here=$state/receipts/$stamp
# alive: whether the program still runs: it holds the lock.
alive() {
    ! flock -n "$state/lock" true
}
# changed: whether the state is another than the known one; a line of it is always whole.
changed() {
    now=
    { read -r now _ <"$here/state"; } 2>/dev/null || :
    [ "$now" != "$known" ]
}
# Small packages take less than a second: the first seconds are looked at more often.
tries=0
while [ "$tries" -lt "$((patience_s + 36))" ] && ! changed && alive; do
    tries=$((tries + 1))
    if [ "$tries" -le 40 ]; then sleep 0.1; else sleep 1; fi
done
now=$(quiet cat "$here/state")
fact state "$now"
fact boot_id "$(quiet cat /proc/sys/kernel/random/boot_id)"
fact alive "$(if alive; then echo yes; else echo no; fi)"
fact line "$(quiet tail -n 1 "$here/log")"
case $now in
rolled-back* | broken*) quiet cat "$here/failed" | while IFS= read -r line; do fact words "$line"; done ;;
esac
fact end complete
