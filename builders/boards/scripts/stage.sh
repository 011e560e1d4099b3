# Downloads all that an installation and its way back need, and writes the receipt; installs nothing.
# stamp; wishes: NAME=VERSION words; olds: the same of the packages that change; program: base64 of the script to run;
# receipt: base64 of the receipt in JSON; comment: the rollout; gates: words NAME:BASE64 of scripts; models: as for
# models.sh; changes: as for run.sh.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

mkdir -p "$state/receipts"
chmod 700 "$state/receipts"
take_lock
here=$state/receipts/$stamp
mkdir -p "$here/previous" "$here/gates"

# Models came before this script; a half or an older one must not be placed.
if ! each_model place model_came; then
    fact failed "$reason"
    exit 73
fi

log=$here/stage.log
status=0
# shellcheck disable=SC2046,SC2086
[ -z "$changes" ] || apt_wait apt-get $(apt_options) $(install_options) --allow-downgrades --download-only install $wishes \
    >"$log" 2>&1 ||
    status=$?
[ "$status" -eq 0 ] || apt_failed "$status" "$log" 73 "apt cannot download this"

# The way back needs no network: the .debs of the present versions stay on the board. apt names files so (deb822 has no
# name): name_version_architecture.deb, a colon of the version as %3a.
cd "$here/previous" || exit 70
for old in $olds; do
    name=${old%%=*}
    file=${name}_$(printf '%s' "${old#*=}" | sed 's/:/%3a/g')_
    ! ls "$file"*.deb >/dev/null 2>&1 || continue
    for known in /var/cache/apt/archives/"$file"*.deb "$state"/receipts/*/previous/"$file"*.deb; do
        [ ! -e "$known" ] || { ln "$known" . 2>/dev/null || cp "$known" .; }
    done
    ! ls "$file"*.deb >/dev/null 2>&1 || continue
    # shellcheck disable=SC2046
    apt_wait apt-get --quiet $(apt_options) download "$old" >>"$log" 2>&1 || fact missing "$old"
done

printf '%s' "$program" | base64 -d >"$here/run.sh"
printf '%s' "$receipt" | base64 -d >"$here/receipt.json"
printf '%s\n' "$models" >"$here/models.txt"
for gate in $gates; do
    printf '%s' "${gate#*:}" | base64 -d >"$here/gates/${gate%%:*}"
done
# Room for the way back on a disk that becomes full: the old versions beside the new ones, dpkg's lists, the last states.
# shellcheck disable=SC2016,SC2046,SC2086
room=$({ [ -z "$olds" ] || quiet dpkg-query -W -f '${Installed-Size}\n' $(printf '%s\n' $olds | sed 's/=.*//'); } |
    awk -v lists="$(du -k /var/lib/dpkg/status | cut -f1)" '{sum += $1} END {print sum + 2 * lists + 512}')
fallocate -l "${room}K" "$here/ballast" 2>/dev/null ||
    dd if=/dev/zero of="$here/ballast" bs=1k count="$room" 2>/dev/null ||
    { rm -f "$here/ballast"; fact failed "too little room for the way back: $room kB"; exit 73; }
sync
printf 'staged %s\n' "$(boot_and_uptime)" >"$here/state.new"
mv "$here/state.new" "$here/state"
sync
# Older receipts than the last three are no longer needed for a way back.
find "$state/receipts" -mindepth 1 -maxdepth 1 | sort -r | tail -n +4 | while IFS= read -r old; do rm -rf "$old"; done
each_model serve model_swept
fact end complete
