#!/bin/sh
# check-consumers.sh DESTINATION: compile a C and a C++ program against the tree installed there, with pkg-config
# and with CMake, and look at what the library exports. Runs nothing: the build is a cross build.
set -eu
destination=$1
here=$(dirname "$0")
libraries=$destination/usr/lib/$DEB_HOST_MULTIARCH
work=build-consumers
rm -rf "$work"
mkdir "$work"

export PKG_CONFIG_LIBDIR="$libraries/pkgconfig:/usr/lib/$DEB_HOST_MULTIARCH/pkgconfig:/usr/share/pkgconfig"
flags=$(pkg-config --cflags --libs tensorflow-lite)
# The tree is not at its final place: its own folders are given by hand, all else comes from the .pc file.
tree="-I$destination/usr/include -L$libraries"
"$DEB_HOST_GNU_TYPE-gcc" $CFLAGS "$here/consumer/consumer.c" $tree $flags -o "$work/consumer-c"
"$DEB_HOST_GNU_TYPE-g++" -std=c++17 $CXXFLAGS "$here/consumer/consumer.cc" $tree $flags -o "$work/consumer-cc"
echo 'consumers: pkg-config works'

dh_auto_configure --buildsystem=cmake+ninja --builddirectory="$work/cmake" --sourcedirectory="$here/consumer" -- \
    "-Dtensorflow-lite_DIR=$libraries/cmake/tensorflow-lite"
ninja -C "$work/cmake"
echo 'consumers: CMake works'

for program in consumer-c consumer-cc; do
    "$DEB_HOST_GNU_TYPE-readelf" -d "$work/$program" "$work/cmake/$program" >"$work/needed"
    test "$(grep -c 'NEEDED.*libtensorflow-lite\.so\.' "$work/needed")" = 2
done
