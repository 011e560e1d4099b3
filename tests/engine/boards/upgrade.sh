mv /build/debs/upgrade/*.deb /var/cache/apt/archives/
say upgrade apt-get -y full-upgrade
say works reef-traps works
say libraries env -i /usr/bin/reef-traps libraries
say child env -i A=b /usr/bin/reef-traps child
say unit ls /usr/lib/systemd/system/reef-traps.service
say rules ls /usr/lib/udev/rules.d/60-libreef-traps1.rules
say conffile tail -n 1 /etc/reef-traps.conf
say verify dpkg --verify reef-traps libreef-traps1 libreef-traps1-portable
say autoremove apt-get -y autoremove --purge
say packages status_of
say private ls "$private"
say purge apt-get -y purge reef-traps libreef-traps1
say left find /usr /etc /lib -name '*reef-traps*'
