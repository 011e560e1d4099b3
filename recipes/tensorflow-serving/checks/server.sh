# The server starts far enough to tell its versions (its own with the commit, cut off here); its user and its folder are
# there.
tensorflow_model_server --version | sed 's/^\(TensorFlow ModelServer: [0-9.]*\)+dev\.sha\.[0-9a-z_]*$/\1/'
echo "user: $(getent passwd tensorflow-serving | cut -d: -f1)"
test -d /var/lib/tensorflow-serving/models && echo "models: there"
