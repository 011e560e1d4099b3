#!/bin/sh
# firmware-header.sh FILE.bin...: print the C++ header in which the USB driver looks for its firmware: for each file
# an array called as the file, and its length. An empty file would give a library that starts no device: refused.
set -eu
echo 'namespace {'
for file in "$@"; do
    [ -s "$file" ] || { echo "no firmware: $file is empty or not there" >&2; exit 1; }
    name=$(basename "$file" .bin)
    echo "const unsigned char ${name}[] = {"
    od -An -v -tx1 "$file" | sed 's/ \(..\)/0x\1,/g'
    echo '};'
    echo "constexpr unsigned int ${name}_len = sizeof(${name});"
done
echo '}  // namespace'
