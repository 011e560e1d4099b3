dpkg --install /build/debs/others/*.deb
sources published bullseye
apt-get -y install reef-traps
sources updated bullseye

# The disk is full in the middle of the new runtime.
mkdir "$private/$new"
mount -t tmpfs -o size=1m tmpfs "$private/$new"
say full apt-get -y full-upgrade
say full-works reef-traps works
umount "$private/$new"
say healed apt-get -y -f install
say healed-works reef-traps works

# Both runtimes are there, the program is the old one.
say runtime apt-get -y install "reef-portable-runtime$new"
say both ls -d "$private/$old" "$private/$new"
say both-works reef-traps works
say both-libraries env -i /usr/bin/reef-traps libraries

# Then the library is new and the program old.
dpkg --unpack "$repositories"/updated/pool/main/r/reef-traps/libreef-traps1-portable_*~deb11~portable"$new"_*.deb
say mixed-works reef-traps works

# dpkg ends in the middle of unpacking the new program: its dpkg-deb stops in the middle of the files.
mkdir /opt/slow
cat >/opt/slow/dpkg-deb <<'SLOW'
#!/bin/sh
case $1 in
    --fsys-tarfile) /usr/bin/dpkg-deb "$@" | { head -c 15000; touch /opt/slow/stopped; sleep 600; } ;;
    *) exec /usr/bin/dpkg-deb "$@" ;;
esac
SLOW
chmod 755 /opt/slow/dpkg-deb
env PATH="/opt/slow:$PATH" \
    dpkg --unpack "$repositories"/updated/pool/main/r/reef-traps/reef-traps_*~deb11~portable"$new"_*.deb &
dpkg=$!
while [ ! -e /opt/slow/stopped ]; do sleep 0.02; done
kill -9 "$dpkg"
say killed ls /usr/bin/reef-traps /usr/bin/reef-traps.dpkg-new
say killed-status status_of reef-traps
say killed-works reef-traps works
say configure dpkg --configure -a
say fixed apt-get -y -f install
say upgrade apt-get -y full-upgrade
say upgrade-works reef-traps works
say upgrade-libraries env -i /usr/bin/reef-traps libraries
say verify dpkg --verify
say autoremove apt-get -y autoremove --purge
say last status_of 'reef-*'
say last-works reef-traps works
say private ls "$private"
