#!/usr/bin/env bash
# Builds the images that infra/docker-compose.yml names, with no registry: from
# Debian's own programs and their libraries, and from Limpet's sources.
#
#   scripts/compose-images.sh              all of them
#   scripts/compose-images.sh limpet       some: limpet, redis, nginx, prometheus
#   scripts/compose-images.sh --remove     away with those that this has built
#
# limpet:local has the same last stage, file by file, as infra/Dockerfile gives it.
# redis and prometheus are stand-ins for the images of that name: the same release
# of the same program, none of the shells and scripts around it. limpet-site is
# nginx with the HTML documentation of Python, a site for the tests. An image of
# that name that is there already, and was not built here, is left alone.
#
# LIMPET_BINARY names a static binary that is built already (CGO_ENABLED=0).
set -euo pipefail
cd "$(dirname "$0")/.."
label=limpet.stand-in

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# tag IMAGE tells the tag that the compose file has.
tag() { grep -oE "image: $1:[^ }]+" infra/docker-compose.yml | head -n 1 | cut -d' ' -f2; }

# with_libraries ROOT PROGRAM… copies programs with all that the loader wants.
with_libraries() {
  local root=$1 program
  shift
  for program in "$@"; do
    cp --parents -L "$program" "$root"
    ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' | sort -u | xargs -r cp --parents -Lt "$root" || true
  done
}

# build NAME ROOT builds an image of the Dockerfile on standard input.
build() {
  local name=$1 root=$2 known
  known=$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$name" 2>/dev/null) || known=new
  if [ "$known" != new ] && [ "$known" != yes ]; then
    echo "$name: is there, and not of this script: left alone"
    return
  fi
  cat >"$root/Dockerfile"
  # The builder without BuildKit is enough, and is there without a plug-in.
  DOCKER_BUILDKIT=0 docker build --quiet --label "$label=yes" -t "$name" "$root" >/dev/null 2>"$work/log" || { cat "$work/log"; exit 1; }
  echo "$name"
}

limpet() {
  local root=$work/limpet binary=${LIMPET_BINARY:-$work/bin/limpet}
  mkdir -p "$root/out"
  [ -n "${LIMPET_BINARY:-}" ] || CGO_ENABLED=0 go build -ldflags '-s -w' -o "$binary" ./cmd/limpet
  sh scripts/image-root.sh "$binary" "$root/out"
  # The last stage, with the files beside it in the place of the first stage.
  sed -n '/^FROM scratch/,$p' infra/Dockerfile | sed 's|--from=build \(.*\) /out/|\1 out/|; s|--from=build /out/|out/|' | build limpet:local "$root"
}

redis() {
  local root=$work/redis
  mkdir -p "$root/home" "$root/root/etc" "$root/root/tmp"
  with_libraries "$root/root" /usr/bin/redis-server /usr/bin/redis-cli
  printf 'root:x:0:0::/:/none\nredis:x:999:999::/data:/none\n' >"$root/root/etc/passwd"
  printf 'root:x:0:\nredis:x:999:\n' >"$root/root/etc/group"
  build "$(tag redis)" "$root" <<'END'
FROM scratch
COPY root/ /
COPY --chown=999:999 home/ /data/
ENV PATH=/usr/bin
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
END
}

prometheus() {
  local root=$work/prometheus
  mkdir -p "$root/root/etc/prometheus" "$root/home" "$root/root/tmp"
  with_libraries "$root/root" /usr/bin/prometheus
  printf 'root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n' >"$root/root/etc/passwd"
  build "$(tag prom/prometheus)" "$root" <<'END'
FROM scratch
COPY root/ /
COPY --chown=65534:65534 home/ /prometheus/
USER 65534
WORKDIR /prometheus
VOLUME /prometheus
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
END
}

nginx() {
  local root=$work/nginx
  mkdir -p "$root/root/etc/nginx" "$root/root/tmp" "$root/root/var/lib/nginx" "$root/root/var/log/nginx" "$root/root/srv"
  with_libraries "$root/root" /usr/sbin/nginx
  cp -rL /usr/share/doc/python3.11/html "$root/root/srv/site"
  cp /etc/nginx/mime.types "$root/root/etc/nginx/"
  printf 'root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n' >"$root/root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/root/etc/group"
  cat >"$root/root/etc/nginx/nginx.conf" <<'END'
user nobody nogroup;
daemon off;
pid /tmp/nginx.pid;
error_log stderr warn;
events {}
http {
  include mime.types;
  access_log off;
  server { listen 80; root /srv/site; }
}
END
  build limpet-site:nginx "$root" <<'END'
FROM scratch
COPY root/ /
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf"]
END
}

if [ "${1:-}" = --remove ]; then
  docker images -q --filter "label=$label=yes" | sort -u | xargs -r docker rmi --force >/dev/null
  exit
fi
for image in "${@:-limpet}"; do
  [ $# -gt 0 ] || { redis; prometheus; nginx; }
  "$image"
done
