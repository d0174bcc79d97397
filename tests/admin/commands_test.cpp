// The operator's commands against a server.
#include "admin/commands.h"

#include <sstream>

#include "tests/admin/served.h"

namespace twinspan::testing {
namespace {

class Commands : public Served {
 protected:
  int run(std::vector<std::string> args, const std::string& answer = "", bool interactive = false) {
    out.str("");
    err.str("");
    if (args.size() > 0) args.insert(args.begin() + 1, {"--server", server->address()});
    return run_bare(args, answer, interactive);
  }
  int run_bare(const std::vector<std::string>& args, const std::string& answer = "", bool interactive = false) {
    std::istringstream in(answer);
    return admin::run_operator_command(args, {out, err, in, interactive, clock});
  }
  void expect_out(const std::string& text) {
    EXPECT_NE(out.str().find(text), std::string::npos) << text << "\nin:\n" << out.str() << err.str();
  }
  void expect_err(const std::string& text) {
    EXPECT_NE(err.str().find(text), std::string::npos) << text << "\nin:\n" << err.str();
  }

  std::ostringstream out, err;
};

TEST_F(Commands, StatusListsPipelines) {
  EXPECT_EQ(run({"status"}), admin::kExitOk);
  expect_out("PIPELINE  STATE      LAG   RATE IN  CLUSTERS            SINKS           CHECKPOINT\n");
  expect_out("ad-uv     running  1,000  91.0 k/s  east up, west down  uv_out -> east   4.0 s ago\n");
  control.has_pipeline = false;
  EXPECT_EQ(run({"status"}), admin::kExitOk);
  expect_out("no pipelines\n");
}

TEST_F(Commands, StatusOfAPipelineShowsClustersRatesAndRoute) {
  EXPECT_EQ(run({"status", "ad-uv"}), admin::kExitOk);
  expect_out("ad-uv: running for 1 h 0 min, at_least_once, 2 shards\n");
  expect_out("last checkpoint: epoch 12, 4.0 s ago, took 35 ms, 1.2 MiB\n");
  expect_out("impressions  west     down       5.0 s      6.2 s      -      1  Connection refused\n");
  expect_out("200,000 /s, unlimited");
  expect_out("2.3 s");
  EXPECT_EQ(run({"status", "nope"}), admin::kExitFailed);
  expect_err("there is no pipeline \"nope\"");
}

TEST_F(Commands, LagByClusterAndByPartition) {
  EXPECT_EQ(run({"lag"}), admin::kExitOk);
  expect_out("impressions  east     up         2  1,000    1,000\n");
  EXPECT_EQ(run({"lag", "ad-uv", "--partitions"}), admin::kExitOk);
  expect_out(
      "impressions  west     ad_impression          0      4000     -      -  -                         "
      "cluster away\n");
}

TEST_F(Commands, JsonIsWhatTheApiSays) {
  EXPECT_EQ(run({"status", "ad-uv", "--json"}), admin::kExitOk);
  EXPECT_EQ(out.str(), get("/v1/pipelines/ad-uv").body + "\n");
  EXPECT_EQ(run({"status", "nope", "--json"}), admin::kExitFailed);
  EXPECT_EQ(boost::json::parse(out.str()).at("code"), "pipeline_not_found");
}

TEST_F(Commands, PauseAndResume) {
  EXPECT_EQ(run({"pause", "ad-uv", "--reason", "bad data"}), admin::kExitOk);
  EXPECT_EQ(out.str(), "ad-uv: paused\n");
  EXPECT_EQ(control.status.reason, "bad data");
  EXPECT_EQ(run({"resume"}), admin::kExitOk);
  EXPECT_EQ(out.str(), "ad-uv: running\n");
  control.status.state = admin::PipelineState::failed;
  EXPECT_EQ(run({"resume"}), admin::kExitConflict);
}

TEST_F(Commands, ThrottleShowsAndChanges) {
  EXPECT_EQ(run({"throttle"}), admin::kExitOk);
  expect_out("impressions  200,000 /s  unlimited\n");
  EXPECT_EQ(run({"throttle", "ad-uv", "clicks", "--max-rate=50k/s", "--max-bytes", "1MiB"}), admin::kExitOk);
  EXPECT_EQ(control.status.sources[1].limits, (admin::RateLimits{50'000, 1'048'576}));
  EXPECT_EQ(run({"throttle", "ad-uv", "--max-rate", "unlimited"}), admin::kExitOk);
  EXPECT_EQ(control.status.sources[0].limits, admin::RateLimits{});
  EXPECT_EQ(run({"throttle", "ad-uv", "--max-rate", "0"}), admin::kExitOk);
  expect_out("paused");
  EXPECT_EQ(run({"throttle", "ad-uv", "--max-rate", "fast"}), admin::kExitUsage);
  EXPECT_EQ(run({"throttle", "ad-uv", "none", "--max-rate", "5"}), admin::kExitFailed);
}

TEST_F(Commands, DiscardLagShowsThePlanAndExecutesIt) {
  EXPECT_EQ(run({"discard-lag", "ad-uv", "--reason", "stale", "--yes"}), admin::kExitOk);
  expect_out("plan d1 for ad-uv, to latest, valid for 5 min 0 s\n");
  expect_out("impressions  east     ad_impression          0      100    4313003  4,312,903  41.0 s\n");
  expect_out("impressions  west     ad_impression          0  pending  at return          -  -\n");
  expect_out("drops 4,312,903 records, 1 lane when its cluster returns, 41.0 s of time\n");
  expect_out("incomplete afterwards: uv\n");
  expect_out("dropped 4,312,753 records, 1 lane when its cluster returns in 140 ms (discard e1)\n");
  EXPECT_EQ(control.ledger.at(0).reason, "stale");
  EXPECT_EQ(run({"discard-lag", "ad-uv", "--reason", "stale", "--yes"}), admin::kExitConflict);
  expect_err("executed before");
  EXPECT_EQ(run({"discards"}), admin::kExitOk);
  expect_out("e1       2026-01-01T00:00:01.000Z  latest  4,312,753        1  not yet  stale\n");
}

TEST_F(Commands, DiscardLagAsksOnATerminal) {
  EXPECT_EQ(run({"discard-lag", "--reason", "stale"}, "n\n", true), admin::kExitFailed);
  expect_err("Drop 4,312,903 records, 1 lane when its cluster returns? [y/N] ");
  expect_err("nothing was dropped");
  EXPECT_EQ(run({"discard-lag", "--reason", "stale"}, "", true), admin::kExitFailed);
  EXPECT_TRUE(control.ledger.empty());
  EXPECT_EQ(run({"discard-lag", "--reason", "stale"}, "y\n", true), admin::kExitOk);
  EXPECT_EQ(control.ledger.size(), 1u);
}

TEST_F(Commands, DiscardLagNeedsYesWithoutATerminalAndAReason) {
  EXPECT_EQ(run({"discard-lag", "--reason", "stale"}), admin::kExitUsage);
  expect_err("--yes");
  EXPECT_EQ(run({"discard-lag", "--yes"}), admin::kExitUsage);
  expect_err("--reason");
  EXPECT_EQ(run({"discard-lag", "--yes", "--reason", "  "}), admin::kExitUsage);
  EXPECT_TRUE(control.ledger.empty());
}

TEST_F(Commands, DiscardLagDryRunChangesNothing) {
  EXPECT_EQ(run({"discard-lag", "--dry-run", "--to", "keep-last=5m", "--source", "clicks"}), admin::kExitOk);
  expect_out("to keep last 5 min 0 s");
  EXPECT_EQ(control.asked_target, (admin::DiscardTarget{admin::DiscardTarget::Kind::keep_last, 300'000}));
  EXPECT_EQ(control.asked_source, "clicks");
  EXPECT_EQ(run({"discard-lag", "--dry-run", "--to", "2026-01-01T00:00:00Z", "--json"}), admin::kExitOk);
  EXPECT_EQ(boost::json::parse(out.str()).at("target").at("timestamp"), FakeControlPlane::kNow);
  EXPECT_TRUE(control.ledger.empty());
  EXPECT_EQ(run({"discard-lag", "--dry-run", "--to", "soon"}), admin::kExitUsage);
  expect_err("hint: ");
}

TEST_F(Commands, DiscardLagWithNothingToDoExecutesNothing) {
  control.nothing_to_do = true;
  EXPECT_EQ(run({"discard-lag", "--reason", "stale", "--yes"}), admin::kExitOk);
  expect_out("nothing to discard\n");
  EXPECT_TRUE(control.ledger.empty());
}

TEST_F(Commands, JsonOfAnExecutionIsTheResultAlone) {
  EXPECT_EQ(run({"discard-lag", "--reason", "stale", "--yes", "--json"}), admin::kExitOk);
  EXPECT_EQ(boost::json::parse(out.str()).at("id"), "e1");
  expect_err("plan d1");
}

TEST_F(Commands, MistakesInTheCommandLineAreUsageErrors) {
  EXPECT_EQ(run({"lag", "--partition"}), admin::kExitUsage);
  expect_err("there is no option --partition here\nusage: twinspan lag [PIPELINE] [--partitions]\n");
  EXPECT_EQ(run({"lag", "a", "b"}), admin::kExitUsage);
  EXPECT_EQ(run({"lag", "--partitions=yes"}), admin::kExitUsage);
  EXPECT_EQ(run({"pause", "--reason"}), admin::kExitUsage);
  EXPECT_EQ(run({"lag", "--timeout", "5"}), admin::kExitUsage);
  EXPECT_EQ(run_bare({"lag", "--server", "nowhere"}), admin::kExitUsage);
  EXPECT_EQ(run_bare({"fly"}), admin::kExitUsage);
  EXPECT_EQ(run_bare({}), admin::kExitUsage);
  EXPECT_EQ(run_bare({"lag", "--help"}), admin::kExitOk);
  expect_out("usage: twinspan lag");
  EXPECT_TRUE(admin::is_operator_command("discard-lag"));
  EXPECT_FALSE(admin::is_operator_command("run"));
}

TEST_F(Commands, AServerThatIsNotThereIsAFailureWithAHint) {
  const std::string address = server->address();
  server->stop();
  EXPECT_EQ(run_bare({"status", "--server", "http://" + address + "/"}), admin::kExitFailed);
  expect_err("cannot reach " + address);
  expect_err("twinspan run");
}

TEST_F(Commands, AServerThatDoesNotAnswerIsATimeout) {
  control.block();
  EXPECT_EQ(run({"discard-lag", "ad-uv", "--dry-run", "--timeout", "200ms"}), admin::kExitTimedOut);
  control.let_go();
}

}  // namespace
}  // namespace twinspan::testing
