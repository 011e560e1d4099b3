# Installs, tests what was installed, and goes back where a test fails. A unit of systemd runs it, so that it goes on
# without a connection; run again after a power cut, it continues.
# stamp; wishes: NAME=VERSION words to install; olds: the same of Reef's packages as they were before, to return to;
# fresh: names that were not installed; automatic: names that apt had installed by itself; services: units;
# settle_s, gate_timeout_s: seconds; comment: for apt's history.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

here=$state/receipts/$stamp
# shellcheck disable=SC2034 # judge.sh reads it
gates_folder=$here/gates
exec >>"$here/log" 2>&1 </dev/null
exec 9>>"$state/lock"
flock -w 600 9 || exit 75

# enter STATE [REASON]: record a state. It is on the disk before anything of it begins, also on a full disk: the
# ballast makes room.
enter() {
    line="$1 $(boot_and_uptime) ${2-}"
    echo "reef: $line"
    if ! printf '%s\n' "$line" >"$here/state.new"; then
        rm -f "$here/ballast"
        printf '%s\n' "$line" >"$here/state.new"
    fi
    sync
    mv "$here/state.new" "$here/state"
    printf '%s\n' "$line" >>"$here/journal"
    sync
}

# apt_install WORDS...: install these versions, from what was downloaded where possible.
apt_install() {
    ! apt_new 2 10 || set -- "$@" --comment "$comment"
    # shellcheck disable=SC2046
    apt_wait 600 apt-get $(apt_options) $(install_options) --allow-downgrades install "$@"
}

# pin_of NAME=VERSION: the file of apt's preferences that keeps a bad version away. apt reads names that end with .pref.
pin_of() {
    printf '/etc/apt/preferences.d/reef-bad-%s.pref' "$(printf '%s' "${1%%=*}" | tr + _)"
}

# mark: packages that apt had installed by itself stay so; an installation by name makes them the owner's choice.
mark() {
    # shellcheck disable=SC2086
    [ -z "$automatic" ] || quiet apt-mark auto $automatic >/dev/null
}

go_back() {
    enter rolling-back "$reason"
    bad=$reason
    # What is new goes first: on a full disk it makes room. dpkg keeps what others need by now.
    for name in $fresh; do
        quiet dpkg --purge "$name"
    done
    heal || :
    # Nothing must bring the bad versions back: apt_preferences(5), a negative priority prevents the installation.
    for word in $wishes; do
        printf 'Explanation: %s\nPackage: %s\nPin: version %s\nPin-Priority: -1\n' \
            "a rollout of Reef ($stamp) went back from it" "${word%%=*}" "${word#*=}" >"$(pin_of "$word")"
    done
    files=
    for word in $olds; do
        file=$here/previous/${word%%=*}_$(printf '%s' "${word#*=}" | sed 's/:/%3a/g')_
        for deb in "$file"*.deb; do
            if [ -e "$deb" ]; then files="$files $deb"; else files="$files $word"; fi
        done
    done
    # shellcheck disable=SC2086
    [ -z "$files" ] || apt_install $files || bad="$bad; the old versions cannot be installed"
    for name in $fresh; do
        ! dpkg-query -W "$name" >/dev/null 2>&1 || dpkg --purge "$name" || bad="$bad; $name stays"
    done
    mark
    reason=
    # shellcheck disable=SC2086
    if installed_as $olds && { [ -z "$olds" ] || { services_stay && gates_pass; }; }; then
        enter rolled-back "$bad"
    else
        enter broken "$bad; after going back: $reason"
    fi
    exit 0
}

reason=
now=$(cut -d' ' -f1 "$here/state")
case $now in
rolling-back)
    reason=$(cut -d' ' -f4- "$here/state")
    go_back
    ;;
gating) ;;
*)
    enter installing
    heal || { reason="dpkg cannot be repaired"; go_back; }
    for word in $wishes; do
        rm -f "$(pin_of "$word")"
    done
    # shellcheck disable=SC2086
    apt_install $wishes || { reason="apt failed: $(tail -n 200 "$here/log" | grep -m1 -E '^(E: |dpkg: error)')"; go_back; }
    mark
    ;;
esac
enter gating
# shellcheck disable=SC2086
judged $wishes || go_back
enter good
