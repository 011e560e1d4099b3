# Unpacks the files with which apt reaches its mirrors, a name and base64 in each line of /reef/apt-files, into /reef/apt:
# a disk in memory, so that no image keeps them. apt reads /reef/apt/apt.conf through the variable APT_CONFIG.
[ ! -s /reef/apt-files ] || while read -r name data; do
    printf %s "$data" | base64 -d >"/reef/apt/$name"
done </reef/apt-files
