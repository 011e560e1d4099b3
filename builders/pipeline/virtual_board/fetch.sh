# With network: the kernel, as a file. It is not installed, which would run its hooks in the emulator for minutes.
apt-get update
mkdir -p /build/kernel
cd /build/kernel || exit
apt-get download "$(apt-cache depends linux-image-cloud-arm64 | sed -n 's/.*Depends: \(linux-image-.*-cloud-arm64\)$/\1/p' | head -n 1)"
