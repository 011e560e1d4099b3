# The judgement on a board: versions, service and gates. The reason of a bad one is in the variable reason.
# gates_folder: scripts, in the order of their names; services, settle_s, gate_timeout_s as for run.sh.
# shellcheck disable=SC2016 # dpkg-query reads the fields
# shellcheck disable=SC2034 # callers read the reason
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

# versions_are NAME=VERSION...: whether these versions are installed and configured.
versions_are() {
    for word in "$@"; do
        found=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "${word%%=*}" 2>/dev/null)
        [ "$found" = "installed ${word#*=}" ] || { reason="${word%%=*} is ${found:-missing}, not ${word#*=}"; return 1; }
    done
}

# installed_as NAME=VERSION...: whether these versions are installed and configured, their files as packaged. A conffile
# that its owner edited is no fault.
installed_as() {
    versions_are "$@" || return 1
    # All at once, as each call reads dpkg's whole database; one by one only to name the package.
    # shellcheck disable=SC2046
    [ $# -gt 0 ] && dpkg -V $(printf '%s\n' "$@" | sed 's/=.*//') 2>/dev/null | grep -qv '^.\{9\}  *c ' || return 0
    for word in "$@"; do
        broken=$(dpkg -V "${word%%=*}" 2>/dev/null | grep -v '^.\{9\}  *c ' | head -n 1)
        [ -z "$broken" ] || { reason="${word%%=*}: files differ from the package: $broken"; return 1; }
    done
}

restarts() {
    for service in $services; do
        quiet systemctl show "$service" -p NRestarts --value
    done
}

# inactive: the first service that is not active, and its state; nothing where all are.
inactive() {
    for service in $services; do
        state_of=$(systemctl is-active "$service" 2>/dev/null)
        [ "$state_of" != active ] || continue
        [ "$(quiet systemctl show "$service" -p LoadState --value)" != not-found ] || state_of="unknown to systemd"
        echo "$service is $state_of"
        return
    done
}

# services_stay: whether the services are active, and stay so for settle_s seconds without a restart.
services_stay() {
    [ -n "$services" ] && [ -d /run/systemd/system ] || return 0
    # In seconds since the start of the board: systemctl itself takes a second on a slow one, and clocks jump.
    limit=$(($(cut -d. -f1 /proc/uptime) + gate_timeout_s))
    while [ -n "$(inactive)" ] && [ "$(cut -d. -f1 /proc/uptime)" -lt "$limit" ]; do
        sleep 1
    done
    first=$(restarts)
    sleep "$settle_s"
    reason=$(inactive)
    [ -n "$reason" ] || [ "$(restarts)" = "$first" ] || reason="a service was restarted: $services"
    [ -n "$reason" ] || return 0
    for service in $services; do
        quiet journalctl --unit "$service" --lines 20 --no-pager
    done
    return 1
}

# run_gate SCRIPT: run a gate within its time limit, print the last 64 KiB of its output, and set its status. Its output
# is no file: it could fill the disk.
run_gate() {
    exec 4>&1
    status=$({
        { timeout -k 10 "$gate_timeout_s" sh "$1" 2>&1 3>&- 4>&- 9>&-; echo "$?" >&3; } |
            timeout "$((gate_timeout_s + 15))" tail -c 65536 >&4
    } 3>&1)
    exec 4>&-
}

# gates_pass: whether every gate succeeds within its time limit.
gates_pass() {
    for gate in "$gates_folder"/*; do
        [ -e "$gate" ] || continue
        name=${gate##*/}
        name=${name#[0-9][0-9]-}
        echo "reef: gate $name"
        run_gate "$gate"
        case $status in
        0) ;;
        124) reason="gate $name: no end within $gate_timeout_s s"; return 1 ;;
        137) reason="gate $name: killed: no end within $gate_timeout_s s, or no memory left"; return 1 ;;
        *) reason="gate $name: status $status"; return 1 ;;
        esac
    done
}

# judged WORDS...: whether these versions are installed, the services stay, the models are served, and the gates pass and
# change no version.
judged() {
    installed_as "$@" && services_stay && models_answer serve && gates_pass && versions_are "$@"
}
