# Judges a board on which nothing changes.
# wishes: NAME=VERSION words that must be installed; gates: words NAME:BASE64 of scripts; models: as
# for models.sh.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

gates_folder=$(mktemp -d)
trap 'rm -rf "$gates_folder"' EXIT
for gate in $gates; do
    printf '%s' "${gate#*:}" | base64 -d >"$gates_folder/${gate%%:*}"
done
reason=
# shellcheck disable=SC2086
judged $wishes >"$gates_folder.log" 2>&1 </dev/null || fact bad "$reason"
tail -n 20 "$gates_folder.log" >&2
rm -f "$gates_folder.log"
fact end complete
