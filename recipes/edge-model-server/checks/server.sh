# The server starts far enough to say its version, by both of its names; the groups that its unit names are there.
edge_model_server --version
echo "by the other name: $(tensorflow_model_server --version)"
getent group plugdev apex >/dev/null && echo "groups: plugdev and apex"
code=0
edge_model_client --timeout 10 health || code=$?
echo "no server: $code"
