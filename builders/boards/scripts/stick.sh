# Installs on this board what the folder beside this file has for it, and writes the board's answers into the folder.
#   sudo sh install.sh [NAME]           a board that the folder knows nothing of only writes its facts
#   sudo sh install.sh --facts [NAME]   only writes its facts
# NAME is the board's name in boards.yml; without it the board's hostname decides. apt alone verifies the packages, with
# the repository's key. Nothing of the installation needs the folder once it has begun; run this again to continue it.
# made: the moment of the export, in seconds since 1970.
# shellcheck disable=SC1091 # plan.sh is of the folder
# shellcheck disable=SC2154 # plan.sh and builders/boards/scripts/__init__.py set the variables

# fail WHAT [ADVICE]: end with an error.
fail() {
    undo
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf '  what to do: %s\n' "$2" >&2
    exit 15
}

# undo: leave the board as it was; later nothing is left to undo.
undo() {
    :
}

# boards_here: the boards that the folder is for.
boards_here() {
    for folder in "$here"/boards/*/; do
        [ ! -d "$folder" ] || basename "$folder"
    done
}

# called HOSTNAME: the boards of that name.
called() {
    boards_here | while IFS= read -r each; do
        ! grep -qxF "$1" "$here/boards/$each/hostname" || printf '%s\n' "$each"
    done
}

# step SCRIPT: run a script that was made for this board; its facts are in the variable answer.
step() {
    errors=$(mktemp /run/reef-stick.XXXXXX)
    status=0
    answer=$(sh "$mine/$1.sh" 2>"$errors" </dev/null) || status=$?
    [ "$status" -eq 0 ] || tail -n 20 "$errors" >&2
    rm -f "$errors"
    [ "$status" -eq 0 ] || fail "$(said failed)" "look at the messages above, then run this again"
}

# said FACT: the values of a fact in the last answer, one on a line.
said() {
    printf '%s\n' "$answer" | sed -n "s/^$1	//p"
}

# version_of PACKAGE: the installed version; nothing where it is not installed.
version_of() {
    # shellcheck disable=SC2016 # dpkg-query reads the fields
    quiet dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" | sed -n 's/^installed //p'
}

# unchanged: whether the packages that the installation concerns are as they were when the board wrote its facts.
unchanged() {
    for word in $before; do
        [ "$(version_of "${word%%=*}")" = "${word#*=}" ] ||
            fail "${word%%=*} is not as it was when this board wrote its facts" "$again"
    done
}

# take: copy the board's part of the repository. The signature is the last file.
take() {
    (
        take_lock
        drop_bundle
        while IFS= read -r file; do
            mkdir -p "$bundle/${file%/*}" && cp "$here/repository/$file" "$bundle/$file" || exit 73
        done <"$mine/files"
    ) || fail "the packages cannot be copied to $bundle" "free some space on the board, then run this again"
}

# expected: whether apt on the board would install what was computed for it, and remove nothing.
expected() {
    removed=$(said step | sed -n 's/^Remv \([^ ]*\).*/\1/p' | tr '\n' ' ')
    [ -z "$removed" ] || fail "apt would remove $removed" "remove it by hand, or leave out the package that needs that"
    for name in $(said step | sed -n 's/^Inst \([^ :]*\).*/\1/p'); do
        case " $before" in
        *" $name="*) ;;
        *) fail "apt would install $name too, which is not expected" "$again" ;;
        esac
    done
}

# follow: start the program, or continue it, and show its states until the last.
follow() {
    known=
    idle=0
    launches=0
    step launch
    while :; do
        export known
        step poll
        line=$(said state)
        if [ "${line%% *}" != "$known" ]; then
            known=${line%% *}
            printf '  %s %s\n' "$known" "$(printf '%s' "$line" | cut -d' ' -f4-)"
        fi
        case $known in
        good | rolled-back | broken) return ;;
        esac
        if [ "$(said alive)" = yes ]; then idle=0; else idle=$((idle + 1)); fi
        [ "$idle" -eq 0 ] || sleep 1
        [ "$idle" -gt 5 ] || continue
        launches=$((launches + 1))
        [ "$launches" -le 3 ] || fail "its program ends without a result: $(said line)"
        idle=0
        step launch
    done
}

# answers: write the board's facts, its list of packages, and what became of the installation.
answers() {
    place=$here/answers/$board
    if ! mkdir -p "$place" 2>/dev/null || ! quiet touch "$place/new" || [ ! -e "$place/new" ]; then
        place=$state/answers
        mkdir -p "$place"
        echo "the folder cannot be written: copy $place into it, as answers/$board"
    fi
    rm -f "$place/new"
    gzip -c /var/lib/dpkg/status >"$place/status.gz.new"
    sh "$mine/probe.sh" >"$place/facts.new" </dev/null
    if [ -r "$mine/explain.sh" ]; then
        sh "$mine/explain.sh" >"$place/explain.new" </dev/null
        quiet cat "$state/receipts/$stamp/log" >"$place/log.new"
    fi
    sync
    for file in status.gz facts explain log; do
        [ ! -e "$place/$file.new" ] || mv "$place/$file.new" "$place/$file"
    done
    sync
}

[ "$(id -u)" -eq 0 ] || fail "this needs root" "sudo sh $0"
here=$(cd "$(dirname "$0")" && pwd) || exit 15
only_facts=
[ "${1-}" != --facts ] || { only_facts=yes; shift; }
board=${1-}
[ -n "$board" ] || board=$(called "$(uname -n)")
if [ -z "$board" ] || [ ! -d "$here/boards/$board" ]; then
    fail "it is not known which board this is: ${board:-$(uname -n)}" \
        "name it: sudo sh install.sh NAME, one of: $(boards_here | tr '\n' ' ')"
fi
(cd "$here" && sha256sum --check --status SHA256SUMS) || fail "the folder is incomplete or damaged" "export it again"
mine=$here/boards/$board
mkdir -p "$state"
again="write its facts again (sudo sh install.sh --facts $board), then export the folder again"
stamp=
[ ! -e "$mine/plan.sh" ] || . "$mine/plan.sh"
if [ -n "$only_facts" ] || [ -z "$stamp" ]; then
    answers
    echo "$board: its facts are written; take the folder back, and export it again"
    exit 0
fi

codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
[ "$codename/$(dpkg --print-architecture)" = "$system" ] ||
    fail "this board is $codename/$(dpkg --print-architecture); $board was $system when it wrote its facts" \
        "name the right board, or: $again"
case $(quiet cut -d' ' -f1 "$state/receipts/$stamp/state") in
installing | gating | rolling-back | restarting) echo "$board: an interrupted installation continues" ;;
good | rolled-back | broken) echo "$board: this folder was used on it before" ;;
*)
    [ ! -e /run/lock/reef-busy ] || flock -n /run/lock/reef-busy true || fail "the board is busy" "wait for its end"
    echo "$board: installs ${wishes:-nothing}"
    unchanged
    take
    undo() {
        drop_bundle
    }
    now=$(date +%s)
    [ "$now" -ge "$made" ] || now=$made
    export now
    step prepare
    said repaired
    expected
    step stage
    said missing | sed 's/^/no way back for /'
    undo() {
        :
    }
    ;;
esac
follow
answers
[ "$known" = good ] || fail "$board: $known" "the reason is above; take the folder back: ./inv bundle-boards --receipts"
echo "$board: good; take the folder back: ./inv bundle-boards --receipts"
