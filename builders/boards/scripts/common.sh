# The beginning of every script of Reef on a board: POSIX sh as root, without a terminal, its input from nowhere.
set -u
umask 022
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck disable=SC2034 # the scripts after this one use it
state=/var/lib/reef
: "${lock_wait_s:=300}"

# fact NAME VALUE: a line of the answer. Tabs and line ends in the value become spaces.
fact() {
    case $2 in
    *[[:cntrl:]]*) printf '%s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\t\n\r' '   ')" ;;
    *) printf '%s\t%s\n' "$1" "$2" ;; # no programs: a slow board starts few of them in a second
    esac
}

# quiet COMMAND...: what a command prints, nothing where it fails or is missing; it waits for nobody.
quiet() {
    "$@" 2>/dev/null </dev/null || :
}

# boot_and_uptime: the id of this start of the board, and the seconds since: clocks of boards jump.
boot_and_uptime() {
    printf '%s %s' "$(cat /proc/sys/kernel/random/boot_id)" "$(cut -d. -f1 /proc/uptime)"
}

# take_lock: let no other rollout work on this board until the end of this script. The variable comment says whose it is.
take_lock() {
    exec 9>>"$state/lock"
    flock -w "$lock_wait_s" 9 || { fact failed "another rollout is at work on it: $(quiet cat "$state/holder")"; exit 75; }
    printf '%s\n' "$comment" >"$state/holder"
}

# has PROGRAM: whether the board has a program.
has() {
    command -v "$1" >/dev/null 2>&1
}
