# Prints what differs on the board from its packages: changed files, new files of conffiles, pins of failed rollouts.
# packages: names of packages; verify: yes to read their files.
# shellcheck disable=SC2016 # dpkg-query reads the fields
# shellcheck disable=SC2154 # common.sh and builders/boards/scripts/__init__.py set the variables

verified=
# shellcheck disable=SC2086
[ "$verify" != yes ] || [ -z "$packages" ] ||
    verified=$(quiet dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages | sed -n 's/ installed$//p' | sort -u)
# All at once, as each call reads dpkg's whole database; one by one only to name the package.
# shellcheck disable=SC2086
if [ -n "$verified" ]; then
    [ -z "$(quiet dpkg --verify $verified)" ] ||
        for name in $verified; do
            quiet dpkg --verify --verify-format rpm "$name" | while IFS= read -r line; do fact changed "$name $line"; done
        done
    # dpkg(1), --force-confold: the package's own file stays beside the one that its owner edited.
    quiet dpkg-query -W -f '${Conffiles}\n' $verified | while read -r file _; do
        [ ! -e "$file.dpkg-dist" ] || fact beside "$file.dpkg-dist"
    done
fi
for pin in /etc/apt/preferences.d/reef-bad-*.pref; do
    [ ! -e "$pin" ] || fact pinned "$pin $(sed -n 's/^Package: //p' "$pin") $(sed -n 's/^Pin: version //p' "$pin")\
 $(sed -n 's/^Explanation: //p' "$pin")"
done
