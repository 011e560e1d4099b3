#!/bin/sh
# On the board: DKMS knows the modules, and the devices' group is there. What they compile against is a kernel's headers,
# which an emulated board has none of.
set -eu
dkms status
dkms status | grep -q '^gasket/.*: added' && echo 'gasket: added'
getent group apex >/dev/null && echo 'group: apex'
