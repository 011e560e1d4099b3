# The unit that runs a rollout's program on the board. It is enabled while the rollout takes, so that a board that was
# restarted, or whose power was cut, continues at its next start without a connection.
# stamp: the rollout.
# shellcheck disable=SC2154 # the variables come from builders/boards/scripts/__init__.py

unit=reef-$stamp.service
units=/etc/systemd/system

# add_unit: write the unit and enable it; that lets systemd read it too.
add_unit() {
    cat >"$units/$unit.new" <<EOF
[Unit]
Description=Reef: rollout $stamp
ConditionPathExists=$state/receipts/$stamp/run.sh
RequiresMountsFor=$state
CollectMode=inactive-or-failed

[Service]
Type=exec
ExecStart=/bin/sh $state/receipts/$stamp/run.sh
RuntimeMaxSec=2h

[Install]
WantedBy=multi-user.target
EOF
    sync
    mv "$units/$unit.new" "$units/$unit"
    systemctl --quiet enable "$unit"
}

# remove_unit: disable the unit and remove it. A program of it that runs continues to its end.
remove_unit() {
    [ -e "$units/$unit" ] || return 0
    quiet systemctl --quiet disable "$unit"
    rm -f "$units/$unit"
}
