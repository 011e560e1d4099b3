#!/bin/sh
# On the board (or an emulated one) with tflite-tools installed: the digits model must name every sample's digit,
# in each input format, and each kind of failure must have its own exit status.
set -eu
digits=/usr/share/tflite-tools/digits

tflite-run --version
tflite-run --list "$digits/digits.tflite"

# Prints the class that an inference finds: the first line below "output".
class() {
    $alone tflite-run --top 1 "$@" "$digits/digits.tflite" | sed -n '/^output/{n;s/^  \([0-9]*\) .*/\1/p;}'
}

# A portable program needs no file of the system: an empty root, which holds the packages' files alone, must do.
alone="${EMPTY_ROOT:+chroot $EMPTY_ROOT}"
for digit in 0 1 2 3 4 5 6 7 8 9; do
    echo "digit=$(class --input "$digits/digit-$digit.pgm")"
done
alone=
echo "npy=$(class --input "image=$digits/digit-3.npy" --threads 2)"
echo "raw=$(class --input - --format raw --warmup 1 --repeat 5 <"$digits/digit-5.raw")"
tflite-run --json --top 1 --input "$digits/digit-7.pgm" "$digits/digits.tflite" | grep -o '"class": 7'

# Prints the exit status of a tflite-run that must fail.
status() {
    code=0
    tflite-run "$@" >/dev/null || code=$?
    echo "$code"
}

echo "no model: $(status /no/such.tflite)"
echo "not a model: $(status "$digits/digit-7.pgm")"
echo "wrong input size: $(status --input "$digits/digit-3.npy" --format raw "$digits/digits.tflite")"
echo "no such delegate: $(status --delegate /no/such.so "$digits/digits.tflite")"
echo "not a delegate: $(status --delegate libc.so.6 "$digits/digits.tflite")"
echo "bad option: $(status --threads none "$digits/digits.tflite")"

# A delegate that loads: it is told its options, sees the model, and the answer is right.
echo_delegate=$(echo /usr/lib/*/tflite-tools/echo-delegate.so)
echo "delegated=$(class --input "$digits/digit-4.pgm" --delegate "$echo_delegate" \
    --delegate-option device=usb:0 -o verbosity=10)"
echo "the delegate refuses: $(status --delegate "$echo_delegate" -o refuse='no device is there' "$digits/digits.tflite")"
