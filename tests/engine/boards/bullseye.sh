sources published bullseye
status_of >/build/before
say install apt-get -y install reef-traps
status_of >/build/after
say new comm -13 /build/before /build/after
say verify dpkg --verify

# Starts
say exe reef-traps exe
ln -s /usr/bin/reef-traps /opt/link
say exe-link /opt/link exe
mkdir -p /srv/elsewhere
cd /srv/elsewhere
say exe-relative ../../usr/bin/reef-traps exe
cd /build
say works reef-traps works
say works-user setpriv --reuid=65534 --regid=65534 --clear-groups reef-traps works
say works-empty env -i /usr/bin/reef-traps works
mkdir /opt/wrong
for library in libc.so.6 libstdc++.so.6 libz.so.1 libreef-traps.so.1; do echo wrong >"/opt/wrong/$library"; done
say works-hostile env LD_LIBRARY_PATH=/opt/wrong /usr/bin/reef-traps works
say libraries env -i /usr/bin/reef-traps libraries
say child env -i A=b /usr/bin/reef-traps child
say kernel setarch "$(uname -m)" --uname-2.6 reef-traps works

# Name resolution and time
echo '192.0.2.7 trap.example' >>/etc/hosts
say host reef-traps host trap.example
say user reef-traps user www-data
dpkg --install /build/debs/others/*.deb
sed -i 's/^hosts:.*/hosts: mdns4_minimal myhostname/; s/^passwd:.*/passwd: systemd/' /etc/nsswitch.conf
say nss-board getent hosts trap.localhost
say nss reef-traps host trap.localhost
say nss-local reef-traps host trap.local
say nss-user-board getent passwd nobody
say nss-user reef-traps user nobody
say time env -i /usr/bin/reef-traps time
say time-zone env -i TZ=Europe/Berlin /usr/bin/reef-traps time
ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime
say time-local env -i /usr/bin/reef-traps time

# Plug-ins
say plug-in env -i /usr/bin/reef-traps plug-in libreef-plug.so.1
say plug-in-path env -i /usr/bin/reef-traps plug-in "/usr/lib/$triplet/reef-traps/by-path.so"
mv "$private/libreef-plug.so.1" "/usr/lib/$triplet/"
ldconfig
say plug-in-cache ldconfig -p
say plug-in-missing reef-traps plug-in libreef-plug.so.1
mv "/usr/lib/$triplet/libreef-plug.so.1" "$private/"
ldconfig

# copy_to ROOT: copy the files of the packages.
copy_to() {
    for package in reef-traps libreef-traps1-portable "reef-portable-runtime$old"; do
        dpkg-query -L "$package" | while read -r path; do
            if [ -L "$path" ] || [ -f "$path" ]; then
                mkdir -p "$1${path%/*}"
                cp -a "$path" "$1$path"
            fi
        done
    done
}
copy_to /opt/empty
say works-alone env -i /usr/sbin/chroot /opt/empty /usr/bin/reef-traps works
for deb in /build/debs/musl_*.deb /build/debs/busybox-static_*.deb; do dpkg-deb --extract "$deb" /opt/musl; done
copy_to /opt/musl
say musl chroot /opt/musl "/lib/ld-musl-$(uname -m).so.1"
say works-musl env -i /usr/sbin/chroot /opt/musl /bin/busybox sh -c '/usr/bin/reef-traps works'

# Mounts without programs
for folder in /tmp /home /var; do
    mount --bind "$folder" "$folder"
    mount -o remount,bind,noexec "$folder"
done
cp /bin/true /tmp/true
say noexec /tmp/true
cd /home
say works-noexec reef-traps works
cd /build
for folder in /tmp /home /var; do umount "$folder"; done

# Removal
echo edited >>/etc/reef-traps.conf
say remove apt-get -y remove reef-traps
say removed ls /etc/reef-traps.conf /usr/bin/reef-traps
say purge apt-get -y purge reef-traps
say autoremove apt-get -y autoremove --purge
status_of >/build/after
say left grep reef /build/after
say files find / \( -path /proc -o -path /sys -o -path /build -o -path /opt -o -path /srv -o -path /cache -o -path /var/log \
    -o -path /var/lib/apt -o -path /var/lib/dpkg \) -prune -o \( -name '*reef-traps*' -o -name '*reef-portable*' \) -print
