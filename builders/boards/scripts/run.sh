# Installs, tests what was installed, and goes back where a test fails. A unit of systemd runs it, so that it goes on
# without a connection; run again after a power cut or a restart, it continues.
# stamp; wishes: NAME=VERSION words to install; changes: those of them that change something, nothing where only models
# do; olds: the same of Reef's packages as they were before, to return to;
# fresh: names that were not installed; automatic: names that apt had installed by itself; services: units;
# settle_s, gate_timeout_s: seconds; comment: for apt's history; reboot: whether the board is restarted and tested again;
# restart_s: the longest time for its shutdown, and for its start; models: as for models.sh.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

here=$state/receipts/$stamp
# shellcheck disable=SC2034 # judge.sh reads it
gates_folder=$here/gates
exec >>"$here/log" 2>&1 </dev/null
take_lock

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

# shown FILE: print what apt said, also on a full disk.
# shellcheck disable=SC2317 # apt_wait calls it
shown() {
    cat "$1" 2>/dev/null || { rm -f "$here/ballast"; cat "$1"; }
}

# finish STATE [REASON]: record the last state. Before that, nothing of the rollout stays in /etc, and no bundle.
finish() {
    remove_unit
    drop_bundle
    enter "$@"
    quiet truncate -c -s 128K "$here/ballast" # room for the states of later tests
    exit 0
}

# restart: restart the board. Its shutdown ends this program, and its start runs it again.
restart() {
    enter restarting
    sleep 5 # whoever follows sees this state before the connection breaks
    systemctl reboot
    sleep "$restart_s"
    reason="it did not restart within $restart_s s"
    go_back
}

# apt_install WORDS...: install these versions, from what was downloaded where possible.
apt_install() {
    ! apt_new 2 10 || set -- "$@" --comment "$comment"
    # shellcheck disable=SC2046
    apt_wait apt-get $(apt_options) $(install_options) --allow-downgrades --no-remove install "$@"
}

# dpkg_install FILES...: install .debs without apt, which refuses while a bad version lacks what it needs.
dpkg_install() {
    apt_wait dpkg --force-confdef --force-confold --install "$@"
}

# apt_reason: the first error of apt or dpkg in the log, which the lines after it only repeat.
apt_reason() {
    tail -n 200 "$here/log" | sed -n '/^dpkg: \(error\|unrecoverable\)/{N;s/\n */ /p;q;};/^E: /{p;q;}'
}

# states NAMES...: a line for each package that dpkg knows: its state and its name.
states() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null
}

# present: those of the packages that were not installed before of which dpkg has more than before.
present() {
    # shellcheck disable=SC2086
    [ -z "$fresh" ] || states $fresh | grep -vxF -f "$here/leftovers" | sed -n '/^not-installed /!s/^[^ ]* //p'
}

# remove_fresh: remove what was not installed before. An owner who removed a package and did not purge it keeps its
# conffiles; others go. dpkg orders the packages, and keeps those that others need.
remove_fresh() {
    for verb in --remove --purge; do
        # shellcheck disable=SC2046
        [ -z "$(present)" ] || apt_wait dpkg "$verb" --force-remove-reinstreq $(present) || :
    done
}

# new_conffiles: the files in which packages brought their own text of a conffile that the owner edited.
new_conffiles() {
    quiet find /etc -name '*.dpkg-dist' | sort
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

# had_something: whether the board had any of this before, which must work again.
had_something() {
    [ -n "$olds" ] || printf '%s\n' "$models" | grep -q '^served '
}

# old_works: whether the services stay, the models of before are served, and the gates pass.
old_works() {
    services_stay && models_answer served && gates_pass
}

go_back() {
    enter rolling-back "$reason"
    bad=$reason
    rm -f "$here/ballast"
    how='went back from it'
    if [ "$reason" = 'asked for' ]; then
        how='was taken back by hand'
    elif [ ! -e "$here/failed" ]; then
        # The words of the step that failed, up to the line of this state, before the way back adds its own.
        tail -c 16384 "$here/log" | awk '
            /^reef: (installing|gating|gate) / {count = 0}
            {line[++count] = $0}
            END {for (number = 1; number < count; number++) print line[number]}' | tail -n 40 >"$here/failed.new"
        mv "$here/failed.new" "$here/failed"
    fi
    models_back
    # What is new goes first: on a full disk it makes room.
    remove_fresh
    files='' debs=''
    for word in $olds; do
        file=$here/previous/${word%%=*}_$(printf '%s' "${word#*=}" | sed 's/:/%3a/g')_
        for deb in "$file"*.deb; do
            if [ -e "$deb" ]; then files="$files $deb" debs="$debs $deb"; else files="$files $word"; fi
        done
    done
    # Where dpkg was interrupted the old versions go first: to complete the new ones may fill the disk again.
    # shellcheck disable=SC2086
    ! interrupted || [ -z "$debs" ] || dpkg_install $debs || :
    heal || :
    # Nothing must bring the bad versions back: apt_preferences(5), a negative priority prevents the installation.
    for word in $changes; do
        printf 'Explanation: %s\nPackage: %s\nPin: version %s\nPin-Priority: -1\n' \
            "a rollout of Reef ($stamp) $how" "${word%%=*}" "${word#*=}" >"$(pin_of "$word")"
    done
    # shellcheck disable=SC2086
    installed_as $olds || apt_install $files || dpkg_install $debs ||
        bad="$bad; the old versions cannot be installed: $(apt_reason)"
    remove_fresh
    mark
    new_conffiles | grep -vxF -f "$here/conffiles" | while IFS= read -r file; do rm -f "$file"; done
    reason=
    left=$(present | tr '\n' ' ')
    [ -z "$left" ] || reason="these cannot be removed: $left"
    # shellcheck disable=SC2086
    if [ -z "$left" ] && installed_as $olds && { ! had_something || old_works; }; then
        finish rolled-back "$bad"
    fi
    finish broken "$bad; after going back: $reason"
}

reason=
boot=$(cat /proc/sys/kernel/random/boot_id)
boot_then=$(cut -d' ' -f2 "$here/state")
# After a start of the board its services start first, before they are judged.
[ "$boot_then" = "$boot" ] || quiet timeout "$restart_s" systemctl is-system-running --wait
case $(cut -d' ' -f1 "$here/state") in
rolling-back)
    reason=$(cut -d' ' -f4- "$here/state")
    go_back
    ;;
gating) ;;
good | rolled-back | broken) remove_unit; exit 0 ;;
restarting) [ "$boot_then" != "$boot" ] || restart ;;
*)
    # shellcheck disable=SC2086
    [ -e "$here/leftovers" ] || states $fresh | grep '^config-files ' >"$here/leftovers"
    [ -e "$here/conffiles" ] || new_conffiles >"$here/conffiles"
    enter installing
    heal || { reason="dpkg cannot be repaired"; go_back; }
    for word in $wishes; do
        rm -f "$(pin_of "$word")"
    done
    # shellcheck disable=SC2086
    [ -z "$changes" ] || apt_install $wishes || { reason="apt failed: $(apt_reason)"; go_back; }
    mark
    models_forward || go_back
    ;;
esac
enter gating
# shellcheck disable=SC2086
judged $wishes || go_back
if [ "$reboot" = yes ] && [ "$(sed -n 's/^installing \([^ ]*\) .*/\1/p' "$here/journal" | tail -n 1)" = "$boot" ]; then
    restart
fi
models_pruned
kept=$(new_conffiles | grep -vxF -f "$here/conffiles" | tr '\n' ' ')
finish good "${kept:+edited files stay, with the new text beside them: $kept}"
