# Waits for the next state of a rollout and prints it.
# stamp; known: the state that was seen last; patience_s: the longest wait, in seconds.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

here=$state/receipts/$stamp
# alive: whether the program still runs: it holds the lock.
alive() {
    ! flock -n "$state/lock" true
}
left=$patience_s
while [ "$(quiet cut -d' ' -f1 "$here/state")" = "$known" ] && [ "$left" -gt 0 ] && alive; do
    left=$((left - 1))
    sleep 1
done
fact state "$(quiet cat "$here/state")"
fact boot_id "$(quiet cat /proc/sys/kernel/random/boot_id)"
fact alive "$(if alive; then echo yes; else echo no; fi)"
fact line "$(quiet tail -n 1 "$here/log")"
fact end complete
