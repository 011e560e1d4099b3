# Models on the board: the server's configuration, digests of versions, and the ways of versions into their place and out
# of it. A version is complete or absent: it arrives beside the others, in .reef of the model's folder, and is renamed.
# models: lines VERB NAME VERSION DIGEST FOLDER; the verbs are
#   place: the version arrives; leave: it is put aside, because the server would serve it instead; register: the server's
#   models.config gets the model; serve: it must be available afterwards; served: it was before, and is the way back.
# stamp: the rollout.
# shellcheck disable=SC2034 # callers read the reason
# shellcheck disable=SC2154 # common.sh and builders/boards/scripts/__init__.py set the variables

# each_model VERB FUNCTION: call a function with name, version, digest and folder of every line of this verb, until it
# fails.
each_model() {
    while IFS=' ' read -r verb name version digest folder; do
        [ "$verb" != "$1" ] || "$2" "$name" "$version" "$digest" "$folder" || return 1
    done <<END
$models
END
}

# model_server: set server, config, rest_port, grpc_port and root to the board's model server, its models.config, its
# ports and its folder for models.
model_server() {
    server=edge-model-server config=/etc/edge-model-server/models.config root=/var/lib/edge-model-server/models
    if [ ! -r "/etc/default/$server" ] && [ -r /etc/default/tensorflow-model-server ]; then
        server=tensorflow-model-server config=/etc/tensorflow-serving/models.config
        root=/var/lib/tensorflow-serving/models
    fi
    rest_port=8501 grpc_port=8500
    [ -r "/etc/default/$server" ] || return 0
    config=$(setting MODEL_CONFIG "$config")
    rest_port=$(setting REST_PORT "$rest_port")
    grpc_port=$(setting GRPC_PORT "$grpc_port")
}

# setting NAME DEFAULT: a value of the server's /etc/default.
setting() {
    value=$(sed -n "s/^$1=//p" "/etc/default/$server" | tail -n 1 | tr -d "\"'")
    printf '%s' "${value:-$2}"
}

# configured: a line for each model of the server's models.config: its name, the folder of its versions and its version
# policy, separated by tabs. The file is a protocol buffer in text format.
configured() {
    quiet sed 's/#.*//' "$config" | tr '\n\t' '  ' |
        grep -o "\"[^\"]*\"\|'[^']*'\|[A-Za-z_0-9.+-][A-Za-z_0-9.+-]*\|[][{}<>:]" | awk '
        $0 == "{" || $0 == "<" {
            path = path "/" key
            if (path ~ /\/config$/) { name = base = ""; policy = "latest 1" }
            if (path ~ /\/config\/model_version_policy\/(all|specific)$/) policy = key
            value = list = 0
            next
        }
        $0 == "}" || $0 == ">" {
            if (path ~ /\/config$/) print name "\t" base "\t" policy
            sub(/\/[^\/]*$/, "", path)
            next
        }
        $0 == ":" { value = 1; next }
        $0 == "[" { list = 1; next }
        $0 == "]" { list = value = 0; next }
        !value { key = $0; next }
        {
            gsub(/^["\047]|["\047]$/, "")
            if (path ~ /\/config$/ && key == "name") name = $0
            if (path ~ /\/config$/ && key == "base_path") base = $0
            if (path ~ /\/latest$/ && key == "num_versions") policy = "latest " $0
            if (path ~ /\/specific$/ && key == "versions") policy = policy " " $0
            if (!list) value = 0
        }'
}

# version_manifest FOLDER: a line for each file of a version: its SHA-256, its size and its path. What is neither a file
# nor a folder has a line that no manifest of Reef has.
version_manifest() (
    cd "$1" 2>/dev/null || exit 0
    find . -mindepth 1 ! -type d -printf '%y %P\n' | LC_ALL=C sort -k 2 | while IFS= read -r line; do
        file=${line#? }
        case $line in
        f*) printf '%s %s %s\n' "$(sha256sum <"$file" | cut -d' ' -f1)" "$(stat -c %s -- "$file")" "$file" ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
)

# version_stamp FOLDER: the names, sizes and times of a version's files: while they stay, so does the manifest.
version_stamp() {
    find "$1" -mindepth 1 -printf '%P %y %s %C@\n' | LC_ALL=C sort | sha256sum | cut -d' ' -f1
}

# version_digest NAME VERSION FOLDER: the SHA-256 of the manifest. What Reef placed is hashed again only if it changed.
version_digest() {
    kept=$state/models/$1/$2
    if [ -r "$kept" ] && [ "$(head -n 1 "$kept")" = "$(version_stamp "$3")" ]; then
        tail -n +2 "$kept"
    else
        version_manifest "$3"
    fi | sha256sum | cut -d' ' -f1
}

# tell_model NAME VERSIONS: facts of a model and of its versions; digests of VERSIONS, and of those that Reef placed.
tell_model() {
    line=$(configured | awk -F '\t' -v name="$1" '$1 == name' | head -n 1)
    folder=$(printf '%s' "$line" | cut -f2)
    known=$([ -z "$line" ] || echo yes)
    folder=${folder:-$root/$1}
    folder=${folder%/}
    fact model_folder "$1 ${known:-no} $folder"
    fact "model_policy:$1" "$(printf '%s' "$line" | cut -f3)"
    for path in "$folder"/*/; do
        path=${path%/}
        number=${path##*/}
        case $number in *[!0-9]* | "") continue ;; esac
        owner=other found=-
        [ ! -e "$state/models/$1/$number" ] || owner=reef
        case "$owner,$2," in
        reef* | *",$number,"*) found=$(version_digest "$1" "$number" "$path") ;;
        esac
        fact "model_version:$1" "$number $found $owner"
    done
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    disks "model:$1" "$folder"
}

# model_came NAME VERSION DIGEST FOLDER: whether a version arrived whole; its manifest is kept for model_placed.
model_came() {
    new=$4/.reef/$stamp/new/$2
    mkdir -p "$here/models/$1"
    { version_stamp "$new" && version_manifest "$new"; } >"$here/models/$1/$2"
    [ "$(tail -n +2 "$here/models/$1/$2" | sha256sum | cut -d' ' -f1)" = "$3" ] && return 0
    reason="model $1 $2 did not arrive whole, or changed here meanwhile"
    return 1
}

# models_forward: bring versions into their places, and let the server know new models.
models_forward() {
    model_server
    each_model place model_placed && each_model register model_registered && each_model leave model_left
}

model_placed() {
    new=$4/.reef/$stamp/new/$2
    [ -d "$new" ] || [ ! -d "$4/$2" ] || return 0
    [ ! -e "$4/$2" ] || { reason="model $1: somebody else made $4/$2"; return 1; }
    # First the mark that it is Reef's: without its folder it means nothing.
    { mkdir -p "$state/models/$1" && cp "$here/models/$1/$2" "$state/models/$1/$2" && sync && mv "$new" "$4/$2"; } ||
        { reason="model $1 $2 cannot be placed"; return 1; }
}

model_left() {
    [ -d "$4/$2" ] || return 0
    { mkdir -p "$4/.reef/$stamp/old" && mv "$4/$2" "$4/.reef/$stamp/old/$2"; } ||
        { reason="model $1 $2 cannot be put aside"; return 1; }
}

# registration NAME FOLDER: the line of models.config for a model.
registration() {
    printf '  config { name: "%s" base_path: "%s" model_platform: "tensorflow" }  # Reef' "$1" "$2"
}

model_registered() {
    ! configured | cut -f1 | grep -qxF "$1" || return 0
    line=$(registration "$1" "$4") awk '
        {print}
        !found && /^[ \t]*model_config_list[ \t]*:?[ \t]*[{][ \t\r]*$/ {print ENVIRON["line"]; found = 1}
        END {exit !found}' "$config" >"$config.reef-new" ||
        { rm -f "$config.reef-new"; reason="model $1: add it by hand: $config has no line model_config_list {"; return 1; }
    new_config
}

model_unregistered() {
    registration "$1" "$4" | grep -vxF -f - "$config" >"$config.reef-new" 2>/dev/null
    if [ -s "$config.reef-new" ] && ! cmp -s "$config.reef-new" "$config"; then new_config; else rm -f "$config.reef-new"; fi
    rmdir "$4" 2>/dev/null || :
}

# new_config: let the server read the new models.config, whose owner and mode stay.
new_config() {
    chmod --reference="$config" "$config.reef-new"
    chown --reference="$config" "$config.reef-new"
    sync
    mv "$config.reef-new" "$config"
    [ ! -d /run/systemd/system ] || quiet systemctl reload-or-restart "$server"
}

# models_back: bring back the versions that were served before the rollout.
models_back() {
    model_server
    each_model leave model_returned
    each_model serve model_withdrawn
    each_model register model_unregistered
}

model_returned() {
    [ -d "$4/$2" ] || [ ! -d "$4/.reef/$stamp/old/$2" ] || mv "$4/.reef/$stamp/old/$2" "$4/$2"
    tidied "$4"
}

# model_withdrawn NAME - - FOLDER: take away what the rollout placed, and what later rollouts placed over it.
model_withdrawn() {
    last=$(printf '%s\n' "$models" | sed -n "s/^served $1 \([0-9]*\) .*/\1/p" | sort -n | tail -n 1)
    for kept in "$state/models/$1"/*; do
        number=${kept##*/}
        [ -d "$4/$number" ] || continue
        ! is_model served "$1" "$number" || continue
        is_model place "$1" "$number" || [ "$number" -gt "${last:-0}" ] || continue
        discard "$1" "$number" "$4"
    done
}

# is_model VERB NAME VERSION: whether the rollout has such a line.
is_model() {
    printf '%s\n' "$models" | grep -q "^$1 $2 $3 "
}

# discard NAME VERSION FOLDER: remove a version; no moment shows a part of it.
discard() {
    gone=$3/.reef/$stamp/gone
    mkdir -p "$gone" && rm -rf "${gone:?}/$2" && mv "$3/$2" "$gone/$2" || return 0
    rm -f "$state/models/$1/$2"
    rm -rf "$gone"
    tidied "$3"
}

# tidied FOLDER: remove what is empty in .reef of a model's folder.
tidied() {
    rmdir "$1/.reef/$stamp/new" "$1/.reef/$stamp/old" "$1/.reef/$stamp" "$1/.reef" 2>/dev/null || :
}

# models_pruned: remove the versions that Reef placed and that neither the server serves nor a receipt can return to.
models_pruned() {
    each_model serve model_pruned
}

model_pruned() {
    for kept in "$state/models/$1"/*; do
        number=${kept##*/}
        ! is_model serve "$1" "$number" || continue
        ! grep -qs "^served $1 $number " "$state"/receipts/*/models.txt || continue
        if [ -d "$4/$number" ]; then discard "$1" "$number" "$4"; else rm -f "$kept"; fi
    done
    tidied "$4"
}

# model_swept NAME - - FOLDER: remove what no receipt needs any more from .reef of a model's folder.
model_swept() {
    for old in "$4"/.reef/*; do
        [ -d "$old" ] || continue
        [ -d "$state/receipts/${old##*/}" ] || rm -rf "$old"
        [ "${old##*/}" = "$stamp" ] || rm -rf "$old/new" "$old/gone"
    done
}

# models_answer VERB: whether the server has the versions of a verb available, within the gates' time.
models_answer() {
    model_server
    each_model "$1" model_answers
}

model_answers() {
    tries=0 failed=0
    while :; do
        line=$(model_states "$1" | grep "^$2 " | tail -n 1)
        case $line in
        "$2 AVAILABLE"*) return 0 ;;
        "$2 "[A-Z]*" "?*) failed=$((failed + 1)) ;;
        *) failed=0 ;;
        esac
        tries=$((tries + 1))
        # An error may be an older load's; it counts when it stays. Between its tries to load a server is LOADING.
        if [ "$tries" -ge "$gate_timeout_s" ] || [ "$failed" -ge 10 ]; then break; fi
        sleep 1
    done
    line=${line#"$2 "}
    reason="model $1 $2 is not available: ${line:-$server does not answer for it}"
    return 1
}

# model_states NAME: a line for each version that the server knows: its number, its state, and its error.
model_states() {
    if [ "$rest_port" = 0 ]; then
        quiet edge_model_client --server "127.0.0.1:$grpc_port" status "$1" |
            sed -n 's/^.* version \([0-9]*\): \([A-Z_]*\):\{0,1\} \{0,1\}\(.*\)/\1 \2 \3/p'
    else
        # Every Debian has bash, which needs no other program for this.
        # shellcheck disable=SC2016 # bash reads its arguments
        quiet timeout 10 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"; printf "GET /v1/models/%s HTTP/1.0\r\n\r\n" "$1" >&3; cat <&3' \
            "$rest_port" "$1" | tr -d '\r\n' | sed 's/"version"/\n&/g' | sed -n \
            's/^"version": *"\([0-9]*\)", *"state": *"\([A-Z_]*\)".*"error_message": *"\(\([^"\\]\|\\.\)*\)".*/\1 \2 \3/
            T; s/\\\(.\)/\1/g; p'
    fi
}
