#!/bin/sh
# On the board (or an emulated one) with one variant installed: it loads with everything that it needs, udev gives the
# devices to the groups, the groups are there, and the heat warning comes with the hot variant alone.
set -eu
package=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libedgetpu1-*' | sed -n 's/^installed //p')
echo "variant: ${package#libedgetpu1-}"

link=$(dpkg-query -L "$package" | grep '/libedgetpu\.so\.1$')
[ "$(readlink "$link")" = libedgetpu.so.1.0 ]
# Every symbol is looked up and every constructor runs; the dynamic linker complains on standard error alone.
case $link in
    */reef-portable/*)
        # No program of the system can load the portable library: the runtime's loader looks up every symbol (ldd -r).
        loader=$(echo "${link%/*}"/*/ld-linux*.so.*)
        LD_WARN=yes LD_BIND_NOW=yes "$loader" --library-path "${loader%/*}" --list "$link" >/tmp/listed 2>&1
        grep -e 'undefined symbol' -e 'not found' /tmp/listed >/tmp/loading || :
        rm /tmp/listed
        ;;
    *) LD_PRELOAD=libedgetpu.so.1 LD_BIND_NOW=1 /bin/true 2>/tmp/loading ;;
esac
cat /tmp/loading
[ -s /tmp/loading ] || echo 'loads: yes'
rm /tmp/loading

getent group plugdev apex >/dev/null && echo 'groups: plugdev and apex'
rules=$(dpkg-query -L "$package" | grep '/udev/rules\.d/.*\.rules$')
grep -q '1a6e.*089a.*GROUP="plugdev"' "$rules"
grep -q '18d1.*9302.*GROUP="plugdev"' "$rules"
grep -q 'SUBSYSTEM=="apex".*GROUP="apex"' "$rules" && echo 'devices: usb and apex'

# As dpkg calls it when the package comes.
if sh "/var/lib/dpkg/info/$package:$(dpkg --print-architecture).postinst" configure '' </dev/null | grep -q 'burn skin'; then
    echo 'heat: told'
else
    echo 'heat: not told'
fi
