# On a board: an int8 inference on a known image, whose answer is known.
digits=/usr/share/tflite-tools/digits
answer=$(tflite-run --top 1 --input "$digits/digit-7.pgm" "$digits/digits.tflite") || exit 1
printf '%s\n' "$answer"
printf '%s\n' "$answer" | grep -q '^  7 '
