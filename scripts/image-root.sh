#!/bin/sh
# Lays out the image: scripts/image-root.sh BINARY OUT. OUT/root has nothing in it
# but one static program under its five names and the certificates that it needs
# for https; OUT/home is empty, for what its user owns. infra/Dockerfile and
# scripts/compose-images.sh both build from it.
set -eu
binary=$1
root=$2/root
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/start" "$2/home"
cp "$binary" "$root/usr/local/bin/limpet"
chmod 0755 "$root/usr/local/bin/limpet"
for name in redis-server redis-cli redis-check-aof redis-check-rdb; do
  ln -sf limpet "$root/usr/local/bin/$name"
done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0::/:/none\nlimpet:x:999:999::/data:/none\n' >"$root/etc/passwd"
printf 'root:x:0:\nlimpet:x:999:\n' >"$root/etc/group"
chmod 1777 "$root/tmp"
