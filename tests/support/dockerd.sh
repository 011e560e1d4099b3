# Runs a Docker engine of the root $1, which stays as it is, in namespaces of its own; $2 is a folder for all that it
# writes, with its socket in $3. Started by dockers.py through unshare(1); further words go to dockerd.
set -eu
root=$1 place=$2 socket=$3
shift 3
eval "${REEF_FIRST:-}"
mount --make-rprivate /
mkdir -p "$place/data" "$place/upper" "$place/work" "$place/root"
# A small disk, where a test wants one.
[ -z "${REEF_SMALL:-}" ] || mount -t tmpfs -o "size=$REEF_SMALL" tmpfs "$place/data"
mount -t overlay -o "lowerdir=$root,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
cd "$place/root"
for folder in proc sys dev; do mount --rbind /$folder $folder; done
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p var/lib/docker ".$socket" old
mount --rbind "$place/data" var/lib/docker
mount --bind "$socket" ".$socket"
if [ -n "${REEF_SHARED:-}" ]; then
    mkdir -p ".$REEF_SHARED"
    mount --bind "$REEF_SHARED" ".$REEF_SHARED"
fi
for file in resolv.conf hosts; do
    touch etc/$file
    mount --bind /etc/$file etc/$file
done
pivot_root . old
cd /
umount -l /old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root dockerd \
    --host "unix://$socket/docker.sock" --data-root /var/lib/docker --exec-root /run/docker --pidfile /run/docker.pid \
    --bridge none --iptables=false --storage-driver overlay2 "$@"
