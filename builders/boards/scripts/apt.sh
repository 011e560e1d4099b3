# apt on the board, as every later script calls it.
# shellcheck disable=SC2154 # common.sh sets the variables

# apt_wait SECONDS COMMAND...: run apt again while another program holds one of its locks. apt-get itself waits for no
# lock of its lists, and for dpkg's only from apt 1.9.11 on; locks are never removed, nor their holders.
apt_wait() {
    left=$1
    shift
    while :; do
        status=0
        output=$("$@" 2>&1 </dev/null) || status=$?
        printf '%s\n' "$output"
        [ "$status" -ne 0 ] || return 0
        printf '%s' "$output" | grep -Eq 'Could not get lock|Unable to (lock|acquire)|is another process using it' ||
            return "$status"
        [ "$left" -gt 0 ] || return 75
        left=$((left - 5))
        sleep 5
    done
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
        -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        -o APT::Get::Upgrade-By-Source-Package=false -o APT::Get::Always-Include-Phased-Updates=true
}

# apt_options: where apt finds its sources: the board's own, and Reef's.
apt_options() {
    [ ! -d "$state/apt/sources" ] || printf '%s\n' -o "Dir::Etc::sourceparts=$state/apt/sources"
}

# interrupted: whether a run of dpkg did not come to its end (dpkg(1), --audit; apt refuses while updates has files).
interrupted() {
    [ -n "$(dpkg --audit 2>/dev/null)" ] || [ -n "$(quiet find /var/lib/dpkg/updates -name '[0-9]*')" ]
}

# heal: complete what an interrupted dpkg left, or report that it cannot.
heal() {
    interrupted || return 0
    # After a full disk the first fails, and only the second helps; its status counts.
    apt_wait 300 dpkg --configure -a --force-confdef --force-confold || :
    # shellcheck disable=SC2046
    apt_wait 300 apt-get $(apt_options) $(install_options) --fix-broken install || return 1
    ! interrupted
}
