# In the root of the board: settings, kernel modules, an initrd, and the disk as one file of ext4.
user=pi
useradd --create-home --shell /bin/bash --groups sudo "$user"
echo "$user:raspberry" | chpasswd
echo "$user ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/reef-virtual-board
ssh-keygen -q -t ed25519 -N '' -C reef-virtual-board -f /build/out/identity
install -D -o "$user" -g "$user" -m 600 /build/out/identity.pub "/home/$user/.ssh/authorized_keys"
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/ssh/ssh_host_ed25519_key
cp /etc/ssh/ssh_host_ed25519_key.pub /build/out/host_key.pub

echo virtual-board >/etc/hostname
: >/etc/machine-id
echo '127.0.0.1 localhost virtual-board' >/etc/hosts
cat >/etc/systemd/network/10-board.network <<'END'
[Match]
Name=e*
[Network]
DHCP=yes
END
mkdir -p /etc/systemd/system.conf.d /etc/systemd/journald.conf.d
# An emulated machine on a busy one is slow.
printf '[Manager]\nDefaultTimeoutStartSec=1200s\nDefaultDeviceTimeoutSec=1200s\n' >/etc/systemd/system.conf.d/slow.conf
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/volatile.conf
systemctl enable systemd-networkd.service ssh.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer getty@tty1.service serial-getty@ttyAMA0.service \
    systemd-networkd-wait-online.service e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
echo '/dev/vda / ext4 defaults,noatime 0 1' >/etc/fstab
rm -f /usr/sbin/policy-rc.d /etc/resolv.conf
echo 'nameserver 10.0.2.3' >/etc/resolv.conf

dpkg-deb -x /build/kernel/linux-image-*.deb /build/kernel/tree
modules=$(echo /build/kernel/tree/usr/lib/modules/*)
[ -d "$modules" ] || modules=$(echo /build/kernel/tree/lib/modules/*)
release=${modules##*/}
mkdir -p /usr/lib/modules
cp -a "$modules" /usr/lib/modules/
depmod "$release"
cp /build/kernel/tree/boot/vmlinuz-* /build/out/vmlinuz

# The kernel has virtio_blk as a module: the initrd loads it and hands over to the disk.
initrd=/build/initrd
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/proc" "$initrd/sys" "$initrd/root"
cp /usr/bin/busybox "$initrd/bin/busybox"
find "/usr/lib/modules/$release" -name 'virtio_blk.ko*' -exec cp {} "$initrd/" \;
case $(echo "$initrd"/virtio_blk.ko*) in *.xz) unxz "$initrd"/virtio_blk.ko.xz ;; esac
cat >"$initrd/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox insmod /virtio_blk.ko
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 -o rw /dev/vda /root
/bin/busybox umount /proc
/bin/busybox umount /sys
exec /bin/busybox switch_root /root /usr/lib/systemd/systemd
END
chmod 755 "$initrd/init"
(cd "$initrd" && find . | cpio --quiet -o -H newc | gzip -1) >/build/out/initrd.gz

mkdir /build/tree
cp -a --one-file-system /bin /boot /etc /home /lib* /media /mnt /opt /root /sbin /srv /usr /var /build/tree/
rm -rf /build/tree/var/cache/apt/archives/*.deb /build/tree/var/lib/apt/lists/*
mkdir -p /build/tree/proc /build/tree/sys /build/tree/dev /build/tree/run /build/tree/tmp
chmod 1777 /build/tree/tmp
truncate -s 2G /build/out/disk.img
mke2fs -q -t ext4 -L root -d /build/tree /build/out/disk.img
