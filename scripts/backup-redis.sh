#!/usr/bin/env bash
# Backs up a Redis, Valkey or Limpet data directory while its server runs, and
# lets old backups go: scripts/backup-redis.sh [TARGET] [flags of limpet backup]
#
#   LIMPET_DIR      the data directory; ./volumes/redis
#   LIMPET_TARGET   where to, unless TARGET says so; ./backups
#
# For cron:  0 3 * * *  cd /srv/limpet && scripts/backup-redis.sh
set -euo pipefail
limpet=$(dirname "$0")/../bin/limpet
[ -x "$limpet" ] || limpet=limpet
target=${LIMPET_TARGET:-./backups}
case ${1:-} in
  '' | -*) ;;
  *) target=$1; shift ;;
esac
exec "$limpet" backup --to "$target" --keep-last 3 --keep-daily 7 --keep-weekly 5 --keep-monthly 12 "$@"
