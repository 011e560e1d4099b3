#!/bin/sh
# Prints the licence texts of what Bazel fetched for a build, by repository; its folder of them is the one argument.
# Some were fetched for the build's own tools alone: better one too many than one that is missing.
set -eu
cd "$1"
texts=$(find -L . -mindepth 2 -maxdepth 2 -type f \
    \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'copyright*' -o -iname 'notice*' \) | LC_ALL=C sort)
if [ -z "$texts" ]; then
    echo "no licence texts in $PWD" >&2
    exit 1
fi
printf '%s\n' "$texts" | while read -r text; do
    printf '\n======== %s\n\n' "${text#./}"
    cat "$text"
done
