# The server starts far enough to tell its versions (its own with the commit, cut off here); its user and its folder are
# there.
tensorflow_model_server --version | sed 's/^\(TensorFlow ModelServer: [0-9.]*\)+dev\.sha\.[0-9a-z_]*$/\1/'
echo "user: $(getent passwd tensorflow-serving | cut -d: -f1)"
test -d /var/lib/tensorflow-serving/models && echo "models: there"

# The unit's command line, with the settings that come with the package, is one that the server takes. An unknown flag it
# would print and go on without; so each is looked for in its list of flags too (--help ends with a status of its own).
unit=$(dpkg-query -L tensorflow-model-server | grep '/tensorflow-model-server\.service$')
command=$(sed -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' "$unit" | sed -n 's/^ExecStart=//p')
. /etc/default/tensorflow-model-server
eval "set -- $command"
echo "command: $*"
"$@" --version >/dev/null
tensorflow_model_server --help >/tmp/flags 2>&1 || :
for word in "$@"; do
    case $word in
    --*) grep -q -- "^[[:space:]]*${word%%=*}=" /tmp/flags ;;
    esac
done
rm /tmp/flags
echo "flags: known"
