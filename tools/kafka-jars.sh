#!/usr/bin/env bash
# Puts Apache Kafka 4.1.0 and what it needs (tools/kafka/pom.xml) into build/deps/kafka/libs, once. Only tests and
# `./dev kafka` use it; the program itself has no Java in it.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
kafka=$root/build/deps/kafka
stamp=$kafka/libs/.copied
wanted=$(sha256sum "$root/tools/kafka/pom.xml" | cut -d' ' -f1)

[[ $(cat "$stamp" 2>/dev/null) == "$wanted" ]] && exit 0
mkdir -p "$kafka"
exec 9>"$kafka/.lock"
flock 9
[[ $(cat "$stamp" 2>/dev/null) == "$wanted" ]] && exit 0

echo "kafka: fetching the broker's jars (43 MB)"
rm -rf "$kafka/libs" "$kafka"/*.jsa
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mvn --batch-mode --no-transfer-progress -f "$root/tools/kafka/pom.xml" dependency:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$kafka/libs" </dev/null >"$log" 2>&1; then
  tail -40 "$log" >&2
  exit 1
fi
echo "$wanted" >"$stamp"
echo "kafka: $(ls "$kafka/libs" | wc -l) jars are in build/deps/kafka/libs"
