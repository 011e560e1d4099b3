apt-get update
download others install mount tzdata libnss-mdns libnss-myhostname libnss-systemd
# Another C library, and a shell that needs none.
cd /build/debs
apt-get download musl busybox-static
