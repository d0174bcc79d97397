#!/usr/bin/env bash
# Builds librdkafka 2.8.0 from Debian 13's source package into build/deps/librdkafka, once, for all presets.
# Needed where the system's package is older (Debian 12 has 2.0.2, which stalls, replays on resume and misses truncation).
# The source comes from the mirror this machine already uses, with its own lists and caches: the system is not changed.
set -euo pipefail

version=2.8.0
sha256=5bd1c46f63265f31c6bfcedcde78703f77d28238eadf23821c2b43fc30be3e25
recipe=1  # raise it when the options below change
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=$root/build/deps/librdkafka
stamp=$prefix/.built
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

if pkg-config --atleast-version=2.8 rdkafka 2>/dev/null && [[ ${1:-} != --force ]]; then
  exit 0
fi
if [[ $(cat "$stamp" 2>/dev/null) == "$version-$recipe" ]]; then
  exit 0
fi

mkdir -p "$root/build/deps"
exec 9>"$root/build/deps/.librdkafka.lock"
flock 9
[[ $(cat "$stamp" 2>/dev/null) == "$version-$recipe" ]] && exit 0

# The mirror from which this system takes its own release, whatever the format of its sources files.
mirror_of_system() {
  local codename uri
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  uri=$(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(COMPONENT) $(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    awk -v name="$codename" '($1 == name || $2 == name) && $3 == "main" && ($4 == "Debian" || $4 ~ /^\$/) && !seen++ { print $5 }')
  if [[ -z $uri ]]; then
    echo "librdkafka: apt knows no mirror for '$codename': librdkafka $version cannot be fetched" >&2
    return 1
  fi
  echo "$uri"
}

work=$(mktemp -d "$root/build/deps/librdkafka.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() {
  local mirror
  mirror=$(mirror_of_system)
  mkdir -p "$work"/apt/{lists/partial,cache/archives/partial,source}
  echo "deb-src [signed-by=$keyring] $mirror trixie main" >"$work/apt/sources.list"
  local options=(
    -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache"
    -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3
  )
  apt-get "${options[@]}" -qq update
  (cd "$work/apt/source" && apt-get "${options[@]}" -qq source --download-only "librdkafka" >&2)
}

echo "librdkafka: fetching $version"
fetch
tarball=$(ls "$work"/apt/source/librdkafka_"$version".orig.tar.*z)
echo "$sha256  $tarball" | sha256sum --check --quiet - || {
  echo "librdkafka: the source does not have the pinned checksum; nothing was built" >&2
  exit 1
}
mkdir "$work/src"
tar -xf "$tarball" -C "$work/src" --strip-components=1

# Assertions stay on, as upstream ships it.
echo "librdkafka: building $version (about half a minute)"
cmake -S "$work/src" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_C_FLAGS=-fno-omit-frame-pointer -DCMAKE_C_FLAGS_RELWITHDEBINFO="-O2 -g1" -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
  -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
  -DRDKAFKA_BUILD_STATIC=ON -DRDKAFKA_BUILD_TESTS=OFF -DRDKAFKA_BUILD_EXAMPLES=OFF \
  -DWITH_SSL=ON -DWITH_SASL=ON -DWITH_ZLIB=ON -DWITH_ZSTD=ON -DENABLE_LZ4_EXT=ON -DWITH_CURL=OFF \
  >"$work/log" 2>&1 &&
  cmake --build "$work/build" >>"$work/log" 2>&1 &&
  rm -rf "$prefix" &&
  cmake --install "$work/build" >>"$work/log" 2>&1 || {
  tail -40 "$work/log" >&2
  exit 1
}
echo "$version-$recipe" >"$stamp"
echo "librdkafka: $version is in build/deps/librdkafka"
