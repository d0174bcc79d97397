#!/usr/bin/env bash
# One real single-node Kafka cluster (combined broker and controller) on loopback, for tests and for playing.
#   format DIR PORT CONTROLLER_PORT   makes DIR/server.properties and formatted storage with a cluster id of its own
#   run DIR                           becomes the broker; SIGTERM ends it cleanly
#   prepare                           makes, once, what start-up is quick with: class-data archive and storage template
# tests/support/kafka_cluster.cpp and `./dev kafka` both go through here.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
kafka=$root/build/deps/kafka
java=$(command -v java) || { echo "kafka: java is not here: run ./dev setup" >&2; exit 1; }
[[ -e $kafka/libs/.copied ]] || { echo "kafka: the broker's jars are not here: run ./dev setup" >&2; exit 1; }

# A class-data archive fits one Java and one set of jars; another one gets its own.
key=$({ cat "$kafka/libs/.copied"; readlink -f "$java"; stat -c %Y "$(readlink -f "$java")"; } | sha256sum | cut -c1-12)
archive=$kafka/classes-$key.jsa
template=$kafka/template-$key

# A small heap and one compiler: a broker takes about 200 MB and starts in 2 s with the archive.
jvm=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xlog:disable -Xlog:all=error:stderr
  -Dorg.slf4j.simpleLogger.showDateTime=true "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"
  -Dorg.slf4j.simpleLogger.showThreadName=false -Djava.awt.headless=true)

properties() {  # DIR PORT CONTROLLER_PORT
  cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
log.dirs=$1/data
auto.create.topics.enable=false

# One node: nothing can be replicated.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# Quick to answer, small in memory.
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=1500
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
background.threads=2
END
}

java_run() {  # DIR class arguments...
  local dir=$1
  shift
  exec "$java" "${jvm[@]}" "-Djava.io.tmpdir=$dir/tmp" -cp "$kafka/libs/*" "$@"
}

prepare() {
  [[ -e $archive && -d $template ]] && return
  exec 8>"$kafka/.prepare.lock"
  flock 8
  [[ -e $archive && -d $template ]] && return
  local dir pid port
  dir=$(mktemp -d "$kafka/prepare.XXXXXX")
  # shellcheck disable=SC2064  # expanded now: the name is local
  trap "rm -rf '$dir'" EXIT
  mkdir "$dir/tmp"
  echo "kafka: preparing the broker's class-data archive (once, about 10 s)"
  # Ports below the range from which outgoing connections take theirs.
  port=$((20000 + RANDOM % 6000 * 2))
  properties "$dir" "$port" $((port + 1)) >"$dir/server.properties"
  (java_run "$dir" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$dir/server.properties") >"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2; return 1; }
  cp -r "$dir/data" "$dir/template"
  (java_run "$dir" -XX:ArchiveClassesAtExit="$dir/classes.jsa" kafka.Kafka "$dir/server.properties") >"$dir/log" 2>&1 &
  pid=$!
  if ! timeout 60 grep -q -m1 'Kafka Server started' < <(exec tail -n +1 -F --pid="$pid" "$dir/log" 2>/dev/null); then
    kill -9 "$pid" 2>/dev/null || true
    cat "$dir/log" >&2
    return 1
  fi
  kill "$pid"
  wait "$pid" || true
  mv "$dir/classes.jsa" "$archive"
  mv -T "$dir/template" "$template"
}

case ${1:-} in
  prepare) prepare ;;
  format)
    prepare >&2
    dir=$2
    mkdir -p "$dir/tmp"
    properties "$dir" "$3" "$4" >"$dir/server.properties"
    cp -r "$template" "$dir/data"
    # Each cluster is told apart by its id, as the clusters of a user are.
    random_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c1-22; }
    sed -i -e "s|^cluster.id=.*|cluster.id=$(random_id)|" -e "s|^directory.id=.*|directory.id=$(random_id)|" \
      "$dir/data/meta.properties"
    ;;
  run)
    dir=$2
    java_run "$dir" -XX:SharedArchiveFile="$archive" \
      -Dorg.slf4j.simpleLogger.defaultLogLevel="${KAFKA_LOG_LEVEL:-warn}" kafka.Kafka "$dir/server.properties"
    ;;
  *)
    sed -n '2,6s/^# //p' "$0" >&2
    exit 64
    ;;
esac
