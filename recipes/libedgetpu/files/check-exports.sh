#!/bin/sh
# check-exports.sh LIBRARY: the library gives the interfaces that programs look for, under the name that they look for,
# and keeps its copy of TensorFlow Lite's helpers to itself. Runs nothing: the build is a cross build.
set -eu
readelf="$DEB_HOST_GNU_TYPE-readelf"
"$readelf" -W -d "$1" | grep -q 'SONAME.*\[libedgetpu\.so\.1\]'
exported=$("$readelf" -W --dyn-syms "$1" | awk '$7 != "UND" && $5 == "GLOBAL" { sub(/@.*/, "", $8); print $8 }')
for symbol in tflite_plugin_create_delegate tflite_plugin_destroy_delegate edgetpu_list_devices \
    edgetpu_free_devices edgetpu_create_delegate edgetpu_free_delegate edgetpu_verbosity edgetpu_version; do
    echo "$exported" | grep -qx "$symbol" || { echo "$1 does not export $symbol" >&2; exit 1; }
done
if echo "$exported" | grep '^TfLite\|^_ZN6tflite'; then
    echo "$1 exports these of TensorFlow Lite's symbols; they must stay inside" >&2
    exit 1
fi
