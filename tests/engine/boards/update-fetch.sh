apt-get update
download others install mount
