apt-get update
sources published bookworm
apt-get -y install reef-traps
echo edited >>/etc/reef-traps.conf
say before reef-traps works
say unit-before ls /lib/systemd/system/reef-traps.service

# The board is upgraded to trixie; what this needs is downloaded here.
sed -i 's/bookworm/trixie/' /etc/apt/sources.list /etc/apt/sources.list.d/reef.list
apt-get update
download upgrade full-upgrade
