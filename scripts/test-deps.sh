#!/usr/bin/env bash
# Sees that the Debian packages named as arguments are installed: installs them
# when it may, else says what is missing and what to type.
set -euo pipefail

missing=()
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

run=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo)
  else
    echo "the tests need: ${missing[*]}" >&2
    echo "install them:   sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

# The packages start services of their own when they are installed; the tests
# start what they need on ports of their own, so keep those from starting.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee $policy >/dev/null
  "${run[@]}" chmod +x $policy
  trap '"${run[@]}" rm -f $policy' EXIT
fi
"${run[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
