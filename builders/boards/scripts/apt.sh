# apt on the board, as every later script calls it.
# shellcheck disable=SC2154 # common.sh sets the variables

# Words of apt and dpkg (bullseye to trixie, and buster's) while another program holds a lock.
locked='Could not get lock|is another process using it|locked by another process'

# shown FILE: print what apt said.
shown() {
    cat "$1"
}

# apt_wait COMMAND...: run apt, and run it again while another program holds one of its locks, for lock_wait_s seconds;
# then the status is 75. It prints the last run's output. apt-get itself waits for no lock of its lists, and for dpkg's
# only from apt 1.9.11 on; locks are never removed, nor their holders. The output goes through a file: a daemon that a
# package starts would keep a pipe open. It must not keep the rollout's lock either, which is file 9.
apt_wait() {
    left=$lock_wait_s
    said=$(mktemp /run/reef-apt.XXXXXX)
    while :; do
        status=0
        "$@" >"$said" 2>&1 </dev/null 9>&- || status=$?
        [ "$status" -ne 0 ] || break
        grep -Eq "$locked" "$said" || break
        status=75
        [ "$left" -gt 0 ] || break
        left=$((left - 5))
        sleep 5
    done
    shown "$said"
    rm -f "$said"
    return "$status"
}

# apt_failed STATUS LOG EXIT WHAT: report a failure of apt_wait, and end with the status EXIT, or 75 after a lock.
apt_failed() {
    [ "$1" -ne 75 ] || set -- 75 "$2" 75 "another program holds a lock of apt"
    fact failed "$4"
    tail -n 20 "$2" >&2
    exit "$3"
}

# apt_new MAJOR MINOR: whether apt is of this release or a later one.
apt_new() {
    apt-get --version | sed -n '1s/^apt \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' |
        { read -r major minor && [ "$((major * 1000 + minor))" -ge "$(($1 * 1000 + $2))" ]; }
}

# install_options: apt's words for an installation that asks nobody and keeps what the owner edited. The new file of a
# conffile that was edited stays beside it as .dpkg-dist.
install_options() {
    printf '%s\n' --yes --quiet --no-install-recommends -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
        -o APT::Get::Upgrade-By-Source-Package=false -o APT::Get::Always-Include-Phased-Updates=true
}

# apt_options: where apt finds its sources: the board's own and Reef's, or a bundle alone.
apt_options() {
    [ ! -d "$state/apt/sources" ] || printf '%s\n' -o "Dir::Etc::sourceparts=$state/apt/sources"
    [ ! -e "$state/apt/bundle" ] || printf '%s\n' -o Dir::Etc::sourcelist=/dev/null -o APT::Get::List-Cleanup=0
}

# drop_bundle: remove a bundle, and apt's lists of it.
drop_bundle() {
    rm -rf "$state/bundle"
    rm -f /var/lib/apt/lists/_var_lib_reef_bundle_* /var/lib/apt/lists/partial/_var_lib_reef_bundle_*
    [ ! -e "$state/apt/bundle" ] || rm -rf "$state/apt/sources" "$state/apt/bundle"
}

# interrupted: whether a run of dpkg did not come to its end (dpkg(1), --audit; apt refuses while updates has files).
interrupted() {
    [ -n "$(dpkg --audit 2>/dev/null)" ] || [ -n "$(quiet find /var/lib/dpkg/updates -name '[0-9]*')" ]
}

# half_installed: the packages that must be reinstalled, as NAME=VERSION. Neither apt's repair nor their names in an
# installation do that; both end with status 0 and leave them.
half_installed() {
    # shellcheck disable=SC2016 # dpkg-query reads the fields
    dpkg-query -W -f '${db:Status-Eflag} ${binary:Package}=${Version}\n' | sed -n 's/^reinstreq //p'
}

# heal: complete what an interrupted dpkg left, or report that it cannot.
heal() {
    interrupted || return 0
    # After a full disk the first fails, and only the second helps; its status counts.
    apt_wait dpkg --configure -a --force-confdef --force-confold || :
    half=$(half_installed)
    # shellcheck disable=SC2046,SC2086
    [ -z "$half" ] || apt_wait apt-get $(apt_options) $(install_options) --reinstall install $half || :
    # shellcheck disable=SC2046
    apt_wait apt-get $(apt_options) $(install_options) --fix-broken install || return "$?"
    ! interrupted
}
