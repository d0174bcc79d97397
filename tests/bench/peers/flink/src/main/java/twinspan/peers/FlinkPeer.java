package twinspan.peers;

import java.io.IOException;
import java.io.OutputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;

/**
 * The jobs of ./dev bench in Flink SQL, on the same topics, in a local MiniCluster. Arguments are key=value: job,
 * bootstrap, topics (one, or left and right), out (a file that gets JSON lines), checkpoints (a directory), every
 * (seconds), parallelism, state (hashmap or rocksdb). Runs until it is killed.
 *
 * <p>Settings follow Flink's own tuning pages: object reuse, mini-batch with two-phase aggregation where it applies, a
 * heap that holds the state (the state backend keeps it there), managed memory for the batches of the runtime (or for
 * RocksDB), exactly-once checkpoints.
 */
public final class FlinkPeer {
  private FlinkPeer() {}

  private static final String COLUMNS =
      "event_id BIGINT, device_id STRING, user_id BIGINT, ts BIGINT, `type` STRING, page STRING, os STRING, "
          + "app_ver STRING, dur_ms BIGINT, net STRING, rt AS TO_TIMESTAMP_LTZ(ts, 3), "
          + "WATERMARK FOR rt AS rt - INTERVAL '1' SECOND";

  private static String query(String job) {
    switch (job) {
      case "filter":
        return "SELECT event_id, device_id, rt AS ts FROM events WHERE `type` = 'click' AND MOD(event_id, 1000) = 0";
      case "tumbling_count":
        return "SELECT device_id, window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE events, "
            + "DESCRIPTOR(rt), INTERVAL '10' SECOND)) GROUP BY device_id, window_start, window_end HAVING COUNT(*) >= 7";
      case "uv":
        return "SELECT `type`, window_start, window_end, COUNT(DISTINCT device_id) AS uv FROM TABLE(TUMBLE(TABLE events, "
            + "DESCRIPTOR(rt), INTERVAL '10' SECOND)) GROUP BY `type`, window_start, window_end";
      case "sliding_count":
        return "SELECT page, window_start, window_end, COUNT(*) AS n FROM TABLE(HOP(TABLE events, DESCRIPTOR(rt), "
            + "INTERVAL '1' SECOND, INTERVAL '60' SECOND)) GROUP BY page, window_start, window_end "
            + "HAVING MOD(COUNT(*), 25) = 0";
      case "session_count":
        // Flink joins what touches (rows exactly the gap apart), we do not; with whole milliseconds one less is the same.
        return "SELECT device_id, window_start, TIMESTAMPADD(SECOND, 5, last_row) AS window_end, n FROM (SELECT device_id, "
            + "window_start, MAX(rt) AS last_row, COUNT(*) AS n FROM TABLE(SESSION(TABLE events PARTITION BY device_id, "
            + "DESCRIPTOR(rt), INTERVAL '4.999' SECOND)) GROUP BY device_id, window_start, window_end "
            + "HAVING COUNT(*) >= 5)";
      case "interval_join":
        return "SELECT l.event_id AS l, r.event_id AS r, l.dur_ms AS d FROM left_side l, right_side r WHERE "
            + "l.device_id = r.device_id AND r.rt BETWEEN l.rt - INTERVAL '10' SECOND AND l.rt + INTERVAL '10' SECOND "
            + "AND MOD(l.event_id + r.event_id, 1000) = 0";
      default:
        throw new IllegalArgumentException("no job " + job);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> a = new HashMap<>();
    for (String argument : arguments) {
      int at = argument.indexOf('=');
      a.put(argument.substring(0, at), argument.substring(at + 1));
    }
    Configuration c = new Configuration();
    c.setString("execution.checkpointing.interval", a.getOrDefault("every", "10") + " s");
    c.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
    c.setString("execution.checkpointing.dir", "file://" + a.get("checkpoints"));
    c.setString("state.backend.type", a.getOrDefault("state", "hashmap"));
    c.setString("execution.checkpointing.incremental", "true");
    c.setString("pipeline.object-reuse", "true");
    c.setString("taskmanager.memory.managed.size", "1g");
    c.setString("taskmanager.memory.network.min", "128m");
    c.setString("taskmanager.memory.network.max", "128m");
    c.setString("taskmanager.numberOfTaskSlots", a.getOrDefault("parallelism", "1"));
    c.setString("rest.bind-port", "0");
    c.setString("rest.bind-address", "127.0.0.1");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(c);
    env.setParallelism(Integer.parseInt(a.getOrDefault("parallelism", "1")));
    StreamTableEnvironment tables = StreamTableEnvironment.create(env);
    tables.getConfig().set("table.local-time-zone", "UTC");
    tables.getConfig().set("table.exec.mini-batch.enabled", "true");
    tables.getConfig().set("table.exec.mini-batch.allow-latency", "1 s");
    tables.getConfig().set("table.exec.mini-batch.size", "5000");
    tables.getConfig().set("table.optimizer.agg-phase-strategy", "TWO_PHASE");

    String[] topics = a.get("topics").split(",");
    String[] names = topics.length == 1 ? new String[] {"events"} : new String[] {"left_side", "right_side"};
    for (int i = 0; i < topics.length; ++i) {
      tables.executeSql(
          String.format(
              "CREATE TABLE %s (%s) WITH ('connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s', "
                  + "'properties.group.id' = 'peer', 'properties.isolation.level' = 'read_committed', "
                  + "'scan.startup.mode' = 'earliest-offset', 'format' = 'json')",
              names[i], COLUMNS, topics[i], a.get("bootstrap")));
    }
    Table result = tables.sqlQuery(query(a.get("job")));
    tables.toDataStream(result).sinkTo(new Lines(a.get("out")));
    env.execute(a.get("job"));
  }

  /** Appends every row as a JSON object, written as Twinspan writes it, and flushes: few rows arrive. */
  private static final class Lines implements Sink<Row>, Serializable {
    private static final long serialVersionUID = 1L;
    private final String path;

    Lines(String path) {
      this.path = path;
    }

    @Override
    public SinkWriter<Row> createWriter(WriterInitContext context) throws IOException {
      OutputStream out = Files.newOutputStream(Path.of(path), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      return new SinkWriter<Row>() {
        @Override
        public void write(Row row, Context ignored) throws IOException {
          out.write(json(row).getBytes(StandardCharsets.UTF_8));  // one write: lines of several writers do not mix
        }

        @Override
        public void flush(boolean end) throws IOException {
          out.flush();
        }

        @Override
        public void close() throws IOException {
          out.close();
        }
      };
    }
  }

  private static String json(Row row) {
    StringBuilder s = new StringBuilder("{");
    for (String name : row.getFieldNames(true)) {
      if (s.length() > 1) {
        s.append(',');
      }
      s.append('"').append(name).append("\":");
      Object value = row.getField(name);
      if (value instanceof Instant || value instanceof LocalDateTime) {
        Instant at = value instanceof Instant ? (Instant) value : ((LocalDateTime) value).toInstant(ZoneOffset.UTC);
        s.append('"').append(at).append('"');
      } else if (value instanceof String) {
        s.append('"').append(value).append('"');  // nothing in the data needs an escape
      } else {
        s.append(value);
      }
    }
    return s.append("}\n").toString();
  }
}
