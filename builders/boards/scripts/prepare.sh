# Makes a board ready and finds what apt would do: sets the clock, repairs dpkg, adds the repository, updates.
# now: seconds since 1970; keyring, keyring_text: path and base64 of the public keys; sources, sources_text: the same for
# the .sources file; comment: the rollout; temporary: yes for a repository that boards reach during this rollout alone,
# bundle for one that is on the board and needs no other source; wishes: NAME=VERSION words.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

mkdir -p "$state/receipts" "$state/previous" "$state/apt"
chmod 700 "$state/receipts"
take_lock

offset=$((now - $(date +%s)))
if [ "$offset" -gt 10 ] || [ "$offset" -lt -10 ]; then
    date -u -s "@$now" >/dev/null && fact repaired "the clock was set by $offset s"
    ! has fake-hwclock || quiet fake-hwclock save
fi

log=$state/prepare.log
: >"$log"
if interrupted; then
    status=0
    heal >>"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || apt_failed "$status" "$log" 70 "an interrupted installation cannot be completed"
    fact repaired "an interrupted installation was completed"
fi

# laid FILE BASE64: write a file whole, unless it is the same; prints whether it changed.
laid() {
    printf '%s' "$2" | base64 -d >"$1.reef-new" || exit 70
    if cmp -s "$1.reef-new" "$1"; then
        rm "$1.reef-new"
    else
        chmod 644 "$1.reef-new"
        sync
        mv "$1.reef-new" "$1"
        fact changed "$1"
    fi
}

mkdir -p /usr/share/keyrings /etc/apt/sources.list.d
laid "$keyring" "$keyring_text"
rm -rf "$state/apt/sources" "$state/apt/bundle"
if [ "$temporary" != no ]; then
    mkdir "$state/apt/sources"
    [ "$temporary" = yes ] || : >"$state/apt/bundle"
    for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
        [ "$temporary" = bundle ] || [ "$file" = "$sources" ] || [ ! -e "$file" ] || ln -s "$file" "$state/apt/sources/"
    done
    sources=$state/apt/sources/${sources##*/}
fi
laid "$sources" "$sources_text"

# Only ours, and strictly: apt exits with 0 where a signature is wrong, unless it is asked for errors (2.1.16; 2.2 is the
# first release of Debian and Ubuntu with it). Older releases say so in words.
strict=
! apt_new 2 2 || strict=--error-on=any
status=0
apt_wait apt-get --quiet $strict -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=- \
    -o APT::Get::List-Cleanup=0 update >"$state/update.log" 2>&1 || status=$?
if grep -Eq '^E: |^W: (GPG error|Failed to fetch|Some index files|An error occurred)' "$state/update.log"; then
    status=$((status ? status : 100))
fi
# Words of gpgv and sqv about a signature that is wrong: no other way to the same repository helps.
unsigned='NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|Missing key|not signed|has been manipulated|Not live until'
unreadable=71
! grep -Eq "$unsigned" "$state/update.log" || unreadable=76
[ "$status" -eq 0 ] || apt_failed "$status" "$state/update.log" "$unreadable" "apt cannot read the repository"

# simulate: the packages that apt would install, upgrade, downgrade or remove.
simulate() {
    # shellcheck disable=SC2046,SC2086
    apt_wait apt-get $(apt_options) $(install_options) --allow-downgrades --simulate install $wishes
}
if ! simulate >"$state/simulate.log" 2>&1; then
    # The lists of the board's other sources may be missing or old. Failures of sources that are not needed stay theirs.
    # shellcheck disable=SC2046
    apt_wait apt-get --quiet $(apt_options) update >"$state/update-all.log" 2>&1 || :
    grep -E '^(W|E): ' "$state/update-all.log" >"$log"
    while IFS= read -r line; do fact source "$line"; done <"$log"
    if ! simulate >"$state/simulate.log" 2>&1; then
        cat "$log" >>"$state/simulate.log"
        apt_failed 72 "$state/simulate.log" 72 "apt cannot install this"
    fi
fi
sed -n 's/^\(Inst\|Remv\) /\1 /p' "$state/simulate.log" | while IFS= read -r line; do fact step "$line"; done
# The sums, as apt shows them to a person. --assume-no would install: apt does not ask where all packages are named.
# shellcheck disable=SC2046,SC2086
fact sums "$(quiet apt-get $(apt_options) $(install_options) --allow-downgrades --print-uris install $wishes |
    sed -n 's/^Need to get \(.*\) of archives\.$/\1 to download,/p
        s/^After this operation, \(.*\) of additional disk space will be used\.$/\1 more on the disk/p
        s/^After this operation, \(.*\) disk space will be freed\.$/\1 less on the disk/p')"
fact end complete
