#!/bin/sh
# What holds for each variant, then to the other variant and back: apt takes one off and puts the other on in one step,
# and what depends on the runtime stays.
set -eu
sh "$RECIPE/checks/variant.sh"
for variant in max std; do
    DEBIAN_FRONTEND=noninteractive apt-get -y -q install "libedgetpu1-$variant" </dev/null
    dpkg --audit
    [ -z "$(dpkg --audit)" ]
    echo "swapped: $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'libedgetpu*' | sed -n 's/^installed //p' | sort | xargs)"
    LD_PRELOAD=libedgetpu.so.1 LD_BIND_NOW=1 /bin/true
done
