#!/usr/bin/env bash
# Everything a build and the tests need on Debian 12 or 13. Quick and silent when it is all there.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
. /etc/os-release
packages=(
  # tools
  g++ cmake ninja-build pkg-config ccache mold clang-format curl ca-certificates
  # the program
  libroaring-dev libspdlog-dev libfmt-dev libyaml-cpp-dev libsimdjson-dev libre2-dev libxxhash-dev robin-map-dev
  libssl-dev libzstd-dev liblz4-dev libsasl2-dev zlib1g-dev libjemalloc-dev libc-ares-dev libhowardhinnant-date-dev
  librocksdb-dev
  # tests: brokers are Java
  libgtest-dev libgmock-dev libbenchmark-dev libsqlite3-dev maven
)
case ${ID:-}-${VERSION_ID:-} in
  debian-12) packages+=(libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev openjdk-17-jre-headless) ;;
  debian-13) packages+=(libboost-dev libboost-json-dev libboost-url-dev openjdk-21-jre-headless librdkafka-dev) ;;
  *)
    echo "setup: this is ${PRETTY_NAME:-an unknown system}; Debian 12 and 13 are supported." >&2
    echo "setup: install what tools/setup-debian.sh lists by hand, then run tools/librdkafka.sh and tools/kafka-jars.sh" >&2
    exit 1
    ;;
esac

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done

if ((${#missing[@]})); then
  as_root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  "${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    install --yes --no-install-recommends "${missing[@]}" </dev/null
fi

"$root/tools/librdkafka.sh"
"$root/tools/kafka-jars.sh"
"$root/tools/kafka-broker.sh" prepare
