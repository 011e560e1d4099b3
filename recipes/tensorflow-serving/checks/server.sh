# The server starts far enough to tell its versions; its user and its folder are there.
tensorflow_model_server --version
echo "user: $(getent passwd tensorflow-serving | cut -d: -f1)"
test -d /var/lib/tensorflow-serving/models && echo "models: there"
