# Prints the records of a rollout on a board, and apt's view of its packages.
# stamp: the rollout, nothing for the newest; packages: names.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

[ -n "$stamp" ] || stamp=$(find "$state/receipts" -mindepth 1 -maxdepth 1 2>/dev/null | sort | tail -n 1)
here=$state/receipts/${stamp##*/}
if [ -r "$here/receipt.json" ]; then
    fact stamp "${stamp##*/}"
    fact receipt "$(tr -d '\n' <"$here/receipt.json")"
    while IFS= read -r line; do fact journal "$line"; done <"$here/journal"
    quiet cat "$here/failed" | while IFS= read -r line; do fact words "$line"; done
    # Of a rollout that went back the tests after that; what failed has its own words.
    quiet awk '
        /^reef: rolling-back / {count = 0}
        /^reef: / {of_gate = /^reef: gate /}
        of_gate {line[++count] = $0}
        END {for (number = 1; number <= count; number++) print line[number]}' "$here/log" | tail -n 40 |
        while IFS= read -r line; do fact gate "$line"; done
fi
# shellcheck disable=SC2086
[ -z "$packages" ] || quiet apt-cache policy $packages | while IFS= read -r line; do fact policy "$line"; done
fact end complete
