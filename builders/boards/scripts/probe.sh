# Reads what decides an installation, and changes nothing.
# packages: names of packages; services: units; files: paths whose digests are asked for; models: words NAME:VERSION,...
# shellcheck disable=SC2016 # dpkg-query reads the fields
# shellcheck disable=SC2154 # common.sh and builders/boards/scripts/__init__.py set the variables

# Lines of /etc/os-release are assignments of a shell (os-release(5)); other names of it must not reach this script.
os() {
    (
        unset ID VERSION_CODENAME VERSION_ID PRETTY_NAME
        # shellcheck disable=SC1091
        [ ! -r /etc/os-release ] || . /etc/os-release
        eval "printf '%s' \"\${$1-}\""
    )
}

# disks NAME FOLDER...: the facts disk_NAME: free kilobytes and inodes ("-": no limit) of the file system of a folder, and
# where it is mounted.
disks() {
    names='' left=$#
    while [ "$left" -gt 0 ]; do
        [ ! -d "$2" ] || { names="$names $1"; set -- "$@" "$2"; }
        shift 2
        left=$((left - 2))
    done
    # df prints a line for each folder, in their order.
    { quiet df -Pk -- "$@"; quiet df -Pi -- "$@"; } | awk -v names="$names" '
        /^Filesystem/ {part++; row = 0; next}
        part == 1 {row++; free[row] = $4; at[row] = $6}
        part == 2 {row++; if ($2 + 0) inodes[row] = $4}
        END {
            count = split(names, name)
            for (row = 1; row <= count; row++)
                print "disk_" name[row] "\t" free[row], row in inodes ? inodes[row] : "-", at[row]
        }'
}

# mounted FOLDER: the type and the options of the file system at a folder.
mounted() {
    awk -v at="$1" '$2 == at {found = $3 " " $4} END {print found}' /proc/mounts
}

fact boot_id "$(quiet cat /proc/sys/kernel/random/boot_id)"
fact uptime "$(quiet cut -d. -f1 /proc/uptime)"
fact hostname "$(uname -n)"
fact machine "$(uname -m)"
fact kernel "$(uname -r)"
fact model "$(quiet cat /proc/device-tree/model | tr -d '\0')"
fact cpu "$(quiet sed -n 's/^\(Features\|flags\)[[:space:]]*: //p;T;q' /proc/cpuinfo)"
fact memory_kb "$(quiet sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
fact page_size "$(quiet getconf PAGESIZE)"
fact glibc "$(quiet getconf GNU_LIBC_VERSION)"
fact os_id "$(os ID)"
fact os_codename "$(os VERSION_CODENAME)"
fact os_version "$(os VERSION_ID)"
fact os_name "$(os PRETTY_NAME)"
fact time "$(date +%s)"
fact ntp "$(quiet timedatectl show -p NTP --value)"
fact init "$(quiet cat /proc/1/comm)"
fact systemd "$([ ! -d /run/systemd/system ] || quiet systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"

fact architecture "$(quiet dpkg --print-architecture)"
fact foreign "$(quiet dpkg --print-foreign-architectures)"
fact apt "$(quiet apt-get --version | sed -n '1s/^apt \([^ ]*\).*/\1/p')"
fact dpkg "$(quiet dpkg-query -W -f '${Version}' dpkg)"
# Files there, and names of packages: both say that dpkg was interrupted (dpkg(1), --audit).
fact journal "$(quiet find /var/lib/dpkg/updates -name '[0-9]*' | wc -l)"
fact audit "$(quiet dpkg --audit | sed -n 's/^ \([a-z0-9][a-z0-9+.-]*\(:[a-z0-9]*\)\{0,1\}\) .*/\1/p')"
# As apt-mark showhold prints them; it opens apt's cache: half a second here, seconds on a board.
fact held "$(quiet dpkg --get-selections '*' | sed -n 's/[[:space:]]*hold$//p')"

fact root "$(mounted /)"
fact usr "$(mounted /usr)"
fact var "$(mounted /var)"
disks root / usr /usr var /var/lib/dpkg archives /var/cache/apt/archives
fact writable "$(for folder in /usr /etc /var/lib/dpkg; do [ -w "$folder" ] || printf '%s ' "$folder"; done)"

for file in $files; do
    fact file "$(quiet sha256sum "$file")"
done
# Of a name that it does not know, dpkg-query prints nothing here.
# shellcheck disable=SC2086
[ -z "$packages" ] ||
    quiet dpkg-query -W -f 'package\t${Package} ${Version} ${Architecture} ${db:Status-Abbrev}\n' $packages
# As apt-mark showauto prints them, from its file (apt-mark(8), FILES).
fact automatic "$(quiet awk -v names=" $packages " -v native="$(quiet dpkg --print-architecture)" '
    /^Package: / {name = $2}
    /^Architecture: / {architecture = $2}
    /^Auto-Installed: 1/ && architecture == native && index(names, " " name " ") {print name}
    ' /var/lib/apt/extended_states)"
for service in $services; do
    fact service "$service $(quiet systemctl show "$service" -p LoadState -p ActiveState -p SubState -p NRestarts |
        tr '\n' ' ')"
done

# A program that must not be disturbed holds this lock: flock /run/lock/reef-busy PROGRAM. The kernel frees it.
if has flock && [ -e /run/lock/reef-busy ] && ! quiet flock -n /run/lock/reef-busy echo free | grep -q free; then
    fact busy "$(quiet head -c 200 /run/lock/reef-busy) "
fi
for receipt in "$state"/receipts/*/state; do
    [ ! -r "$receipt" ] || fact receipt "$(basename "$(dirname "$receipt")") $(cat "$receipt")"
done
# A rollout that is at work holds its lock.
if [ -e "$state/lock" ] && ! flock -n "$state/lock" true; then
    fact running "$(quiet cat "$state/holder")"
fi
model_server
fact model_server "$([ ! -r "/etc/default/$server" ] || echo "$server")"
for model in $models; do
    tell_model "${model%%:*}" "${model#*:}"
done
for model in "$state"/models/*/; do
    model=$(basename "$model")
    case " $models" in
    *" $model:"*) ;;
    *) [ ! -d "$state/models/$model" ] || tell_model "$model" "" ;;
    esac
done
fact end complete
