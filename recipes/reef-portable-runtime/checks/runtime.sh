# The bundled loader runs, and each bundled Debian package has its copyright file.
folder=$(echo /usr/lib/*/reef-portable/*)
"$folder"/ld-linux-*.so.* --version | grep -q 'ld.so (Debian GLIBC' && echo 'loader: runs'
docs=/usr/share/doc/reef-portable-runtime${folder##*/}/bundled/$(dpkg --print-architecture)
missing=
while read -r package _; do
    [ -s "$docs/$package/copyright" ] || missing="$missing $package"
done <"$folder/bundled.tsv"
echo "copyright files: ${missing:-complete}"
# The log shows which kernel the programs saw.
echo "kernel release: $(uname -r)"
