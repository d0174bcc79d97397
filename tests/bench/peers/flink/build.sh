#!/usr/bin/env bash
# Puts Apache Flink, its Kafka connector and our job into build/deps/flink/libs, once for every state of this folder.
# Needs a JDK (javac); only ./dev bench --against flink uses it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
flink=$root/build/deps/flink
wanted=$(cd "$here" && find pom.xml src -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)

[[ $(cat "$flink/.built" 2>/dev/null) == "$wanted" ]] && exit 0
command -v javac >/dev/null || { echo "flink: a JDK is needed (apt install openjdk-17-jdk-headless)" >&2; exit 1; }
mkdir -p "$flink"
exec 9>"$flink/.lock"
flock 9
[[ $(cat "$flink/.built" 2>/dev/null) == "$wanted" ]] && exit 0

echo "flink: fetching and building (about 200 MB of jars the first time)"
rm -rf "$flink/libs" "$flink/target"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mvn --batch-mode --no-transfer-progress -f "$here/pom.xml" -DbuildDirectory="$flink/target" \
  package dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$flink/libs" </dev/null >"$log" 2>&1; then
  tail -40 "$log" >&2
  exit 1
fi
cp "$flink/target/flink-peer-1.jar" "$flink/libs/"
echo "$wanted" >"$flink/.built"
echo "flink: $(ls "$flink/libs" | wc -l) jars are in build/deps/flink/libs"
