# Installs, tests what was installed, and goes back where a test fails. A unit of systemd runs it, so that it goes on
# without a connection; run again after a power cut, it continues.
# stamp; wishes: NAME=VERSION words to install; changes: those of them that change something; olds: the same of Reef's
# packages as they were before, to return to;
# fresh: names that were not installed; automatic: names that apt had installed by itself; services: units;
# settle_s, gate_timeout_s: seconds; comment: for apt's history.
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

# apt_install WORDS...: install these versions, from what was downloaded where possible.
apt_install() {
    ! apt_new 2 10 || set -- "$@" --comment "$comment"
    # shellcheck disable=SC2046
    apt_wait apt-get $(apt_options) $(install_options) --allow-downgrades --no-remove install "$@"
}

# apt_reason: the first error of apt or dpkg in the log, which the lines after it only repeat.
apt_reason() {
    tail -n 200 "$here/log" | sed -n '/^dpkg: error/{N;s/\n */ /p;q;};/^E: /{p;q;}'
}

# present NAMES...: those of the packages of which dpkg still has something.
present() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n '/^not-installed /!s/^[^ ]* //p'
}

# purge_fresh: remove what was not installed before. dpkg orders the packages, and keeps those that others need.
purge_fresh() {
    # shellcheck disable=SC2046,SC2086
    [ -z "$fresh" ] || [ -z "$(present $fresh)" ] || apt_wait dpkg --purge $(present $fresh)
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

go_back() {
    enter rolling-back "$reason"
    bad=$reason
    # What is new goes first: on a full disk it makes room.
    purge_fresh || :
    heal || :
    # Nothing must bring the bad versions back: apt_preferences(5), a negative priority prevents the installation.
    for word in $changes; do
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
    installed_as $olds || apt_install $files || bad="$bad; the old versions cannot be installed: $(apt_reason)"
    purge_fresh || :
    mark
    new_conffiles | grep -vxF -f "$here/conffiles" | while IFS= read -r file; do rm -f "$file"; done
    reason=
    # shellcheck disable=SC2086
    left=$([ -z "$fresh" ] || present $fresh | tr '\n' ' ')
    [ -z "$left" ] || reason="these cannot be removed: $left"
    # shellcheck disable=SC2086
    if [ -z "$left" ] && installed_as $olds && { [ -z "$olds" ] || { services_stay && gates_pass; }; }; then
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
good | rolled-back | broken) exit 0 ;;
*)
    [ -e "$here/conffiles" ] || new_conffiles >"$here/conffiles"
    enter installing
    heal || { reason="dpkg cannot be repaired"; go_back; }
    for word in $wishes; do
        rm -f "$(pin_of "$word")"
    done
    # shellcheck disable=SC2086
    apt_install $wishes || { reason="apt failed: $(apt_reason)"; go_back; }
    mark
    ;;
esac
enter gating
# shellcheck disable=SC2086
judged $wishes || go_back
kept=$(new_conffiles | grep -vxF -f "$here/conffiles" | tr '\n' ' ')
enter good "${kept:+edited files stay; the packages' own are beside them: $kept}"
