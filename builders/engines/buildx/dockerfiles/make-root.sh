# Turns a Debian base image into a build root. It runs in the container and reads SUITE, MIRROR, HOST and PACKAGES
# (see the Dockerfiles). With any base, the root has the essential packages, apt and PACKAGES with their
# dependencies, each in the version of SUITE: the same packages as made by mmdebstrap --variant=apt.

# The access of the machine's apt to mirrors, which no image keeps.
. /reef/apt-access.sh
[ ! -e /reef/apt/apt.conf ] || export APT_CONFIG=/reef/apt/apt.conf

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# The base image's settings for apt and dpkg (no documentation, another mirror) do not apply.
rm -f /etc/apt/apt.conf.d/docker-* /etc/dpkg/dpkg.cfg.d/docker*
if [ -n "${MIRROR:-}" ]; then
    rm -rf /etc/apt/sources.list.d/*
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $SUITE main" >/etc/apt/sources.list
fi
cat >/etc/apt/apt.conf.d/99reef <<END
Acquire::Languages "none";
APT::Install-Recommends "false";
END

# During the installation no service starts, and the suite's version of a package replaces a newer version of the base.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
cat >/etc/apt/apt.conf.d/zz-install <<END
APT::Get::Assume-Yes "true";
APT::Get::allow-downgrades "true";
APT::AutoRemove::RecommendsImportant "false";
APT::AutoRemove::SuggestsImportant "false";
APT::Keep-Downloaded-Packages "true";
APT::Update::Error-Mode "any";
Dpkg::Use-Pty "false";
Dpkg::Options { "--force-unsafe-io"; };
END
printf 'Package: *\nPin: release *\nPin-Priority: 1001\n' >/etc/apt/preferences.d/zz-install

[ -z "${HOST:-}" ] || dpkg --add-architecture "$HOST"
apt-get update
apt-get dist-upgrade
apt-mark showmanual | xargs apt-mark auto >/dev/null
# shellcheck disable=SC2086 # each word is a package
apt-get install apt $PACKAGES
apt-get autoremove --purge

rm -rf /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/zz-install /etc/apt/preferences.d/zz-install \
    /var/lib/apt/lists/* /var/cache/apt/*.bin
