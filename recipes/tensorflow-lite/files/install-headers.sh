#!/bin/sh
# install-headers.sh TREE DESTINATION: install TensorFlow Lite's headers from the source tree TREE.
#
# Every header of the folders that the library is made of, but for tests and for what needs sources of TensorFlow
# that are not part of it. Upstream's prefix third_party/eigen3/ is dropped from the #include lines: it is a place
# in upstream's tree, where Debian's libeigen3-dev has Eigen/ and unsupported/ right below its include folder.
# Last, every header that a shipped one includes must itself be shipped.
set -eu
tree=$1 destination=$2

cd "$tree"
{
    echo tensorflow/core/public/version.h
    echo tensorflow/lite/acceleration/configuration/configuration_generated.h
    echo tensorflow/lite/kernels/builtin_ops_list.inc
    find tensorflow/lite -maxdepth 1 -name '*.h'
    find tensorflow/lite/delegates tensorflow/lite/experimental/remat tensorflow/lite/experimental/resource \
        tensorflow/lite/internal tensorflow/lite/kernels tensorflow/lite/profiling \
        tensorflow/lite/profiling/telemetry tensorflow/lite/profiling/telemetry/c tensorflow/lite/schema \
        tensorflow/lite/delegates/external -maxdepth 1 -name '*.h'
    find tensorflow/lite/async tensorflow/lite/c tensorflow/lite/core tensorflow/lite/kernels/internal -name '*.h'
} | grep -vE -e '(^|/)(test_[^/]*|[^/]*_test[^/]*|mock_[^/]*|[^/]*_ops_wrapper)\.h$|/(testing|shims|jni)/' \
    -e '/((nnapi|gpu|xnnpack)_plugin|tensorflow_profiler_logger|atrace_profiler|signpost_profiler)\.h$' \
    -e '/(profile_summar[^/]*|eigen_spatial_convolutions|multithreaded_conv|spectrogram|eigen_support)\.h$' |
    sort -u >"$destination.list"

while read -r header; do
    install -D -m 644 "$header" "$destination/$header"
done <"$destination.list"
find "$destination" -name '*.h' -exec sed -i 's,#include "third_party/eigen3/,#include ",' {} +

missing=0
for included in $(grep -rhoE '^ *# *include "(tensorflow|third_party)/[^"]+"' "$destination" | cut -d '"' -f 2 | sort -u); do
    if [ ! -f "$destination/$included" ]; then
        echo "$included is not shipped, but included by:" >&2
        grep -rl "include \"$included\"" "$destination" >&2
        missing=1
    fi
done
rm "$destination.list"
exit $missing
