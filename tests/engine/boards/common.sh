# Begins every script of tests/engine/test_portable.py. POSIX sh, run with -eu on a board: a clean root of Debian.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
triplet=$(uname -m)-linux-gnu
private=/usr/lib/$triplet/reef-portable
repositories=/srv/repositories

# say NAME COMMAND...: run a command; its output becomes the file NAME of the result, its status NAME.status.
say() {
    name=$1
    shift
    status=0
    "$@" >"/build/out/$name" 2>&1 </dev/null || status=$?
    echo "$status" >"/build/out/$name.status"
}

# sources REPOSITORY SUITE: let apt know a published repository alone.
sources() {
    printf 'deb [signed-by=%s] file:%s %s main\n' "$repositories/$1/reef-archive-keyring.gpg" "$repositories/$1" "$2" \
        >/etc/apt/sources.list.d/reef.list
    apt-get update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/reef.list -o Dir::Etc::sourceparts=/dev/null
}

# download NAME COMMAND...: download what a command of apt-get would install, through the cache that all jobs share,
# to /build/debs/NAME.
download() {
    mkdir -p "/build/debs/$1/partial" /cache/apt/partial
    name=$1
    shift
    flock /cache/apt/reef.lock apt-get -y -d -o Dir::Cache::archives=/cache/apt/ "$@"
    apt-get --print-uris -o Dir::Cache::archives=/build/empty/ "$@" | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" |
        while read -r deb; do if [ -e "/cache/apt/$deb" ]; then cp "/cache/apt/$deb" "/build/debs/$name/"; fi; done
}

# status_of PACKAGE...: print the names, states and versions of packages.
status_of() {
    # shellcheck disable=SC2016 # the braces are dpkg-query's
    dpkg-query -W -f '${Package} ${db:Status-Status} ${Version}\n' "$@"
}

cat >/etc/apt/apt.conf.d/zz-reef-test <<'CONF'
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
APT::Sandbox::User "root";
Dpkg::Use-Pty "false";
DPkg::Options { "--force-unsafe-io"; "--force-confdef"; "--force-confold"; };
quiet "1";
CONF
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
mkdir -p /build/out
