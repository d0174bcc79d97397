// Every endpoint, through a real socket.
#include <thread>

#include "admin/metrics_text.h"
#include "tests/admin/served.h"
#include "throttle/discard_plan.h"

namespace twinspan::testing {
namespace {

class Api : public Served {};

TEST_F(Api, ProbesAnswerWithoutKafka) {
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/readyz").body, "[+] state restored\n[+] listeners up\nready\n");
  control.is_live = false;
  control.is_ready = false;
  EXPECT_EQ(get("/livez").status, 503);
  const auto ready = get("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "[-] state restored: epoch 12, 3 of 8 files\n[+] listeners up\nnot ready\n");
}

TEST_F(Api, ListsPipelinesWithoutLanes) {
  const auto reply = get("/v1/pipelines");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  const auto body = json(reply);
  const auto& row = body.at("pipelines").as_array().at(0);
  EXPECT_EQ(row.at("name"), "ad-uv");
  EXPECT_EQ(row.at("state"), "running");
  EXPECT_FALSE(row.at("sources").as_array().at(0).as_object().contains("lanes"));
  EXPECT_EQ(row.at("sinks").as_array().at(0).at("active_cluster"), "east");
}

TEST_F(Api, ShowsAPipelineWithClustersLanesWatermarksCheckpointAndRoute) {
  const auto p = json(get("/v1/pipelines/ad-uv"));
  const auto& source = p.at("sources").as_array().at(0);
  EXPECT_EQ(source.at("clusters").as_array().at(1).at("state"), "down");
  EXPECT_EQ(source.at("clusters").as_array().at(1).at("last_error"), "Connection refused");
  EXPECT_EQ(source.at("clusters").as_array().at(0).at("last_data_ms_ago"), 120);
  const auto& lanes = source.at("lanes").as_array();
  EXPECT_EQ(lanes.at(0).at("position"), 100);
  EXPECT_EQ(lanes.at(0).at("end"), 1'100);
  EXPECT_EQ(lanes.at(0).at("lag"), 1'000);
  EXPECT_TRUE(lanes.at(2).at("end").is_null());
  EXPECT_TRUE(lanes.at(2).at("watermark").is_null());
  EXPECT_EQ(source.at("watermark").at("firing"), FakeControlPlane::kNow - 4'000);
  EXPECT_EQ(source.at("watermark").at("retention"), FakeControlPlane::kNow - 9'000);
  EXPECT_EQ(source.at("records_per_s"), 91'000.0);
  EXPECT_EQ(source.at("limits").at("records_per_s"), 200'000);
  EXPECT_TRUE(source.at("limits").at("bytes_per_s").is_null());
  EXPECT_EQ(p.at("steps").as_array().at(0).at("rows_late"), 3);
  EXPECT_EQ(p.at("last_checkpoint").at("epoch"), 12);
  EXPECT_EQ(p.at("sinks").as_array().at(0).at("last_switch_took_ms"), 2'300);
  EXPECT_EQ(p.at("dead_letters"), 7);
}

TEST_F(Api, AnUnknownPipelineIsAProblemWithItsCode) {
  problem(get("/v1/pipelines/nope"), 404, "pipeline_not_found");
  problem(post("/v1/pipelines/nope:pause", "{}"), 404, "pipeline_not_found");
  problem(get("/v1/pipelines/nope/lag-discards"), 404, "pipeline_not_found");
  problem(get("/v1/pipelines/nope/throttle"), 404, "pipeline_not_found");
}

TEST_F(Api, PausesAndResumesWithAndWithoutABody) {
  const auto paused = json(post("/v1/pipelines/ad-uv:pause", R"({"reason":"bad data"})"));
  EXPECT_EQ(paused.at("state"), "paused");
  EXPECT_EQ(paused.at("reason"), "bad data");
  EXPECT_EQ(json(post("/v1/pipelines/ad-uv:resume", "")).at("state"), "running");
  EXPECT_EQ(json(post("/v1/pipelines/ad-uv:pause", "")).at("state"), "paused");
  control.status.state = admin::PipelineState::failed;
  problem(post("/v1/pipelines/ad-uv:resume", "{}"), 409, "wrong_state");
}

TEST_F(Api, ChangesTheLimitsNamedAndLeavesTheOthers) {
  auto reply = put("/v1/pipelines/ad-uv/throttle", R"({"source":"impressions","bytes_per_s":1000000})");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(control.status.sources[0].limits, (admin::RateLimits{200'000, 1'000'000}));
  EXPECT_EQ(control.status.sources[1].limits, admin::RateLimits{});
  reply = put("/v1/pipelines/ad-uv/throttle", R"({"records_per_s":null,"bytes_per_s":0})");
  EXPECT_EQ(control.status.sources[0].limits, (admin::RateLimits{std::nullopt, 0}));
  EXPECT_EQ(control.status.sources[1].limits, (admin::RateLimits{std::nullopt, 0}));
  EXPECT_EQ(json(reply), json(get("/v1/pipelines/ad-uv/throttle")));
}

TEST_F(Api, RefusesLimitsThatAreNoNumbers) {
  const auto body =
      problem(put("/v1/pipelines/ad-uv/throttle", R"({"records_per_s":"fast","bytes_per_s":-1,"burst":3})"), 422,
              "invalid_body");
  const auto& errors = body.at("errors").as_array();
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors.at(0).at("pointer"), "/records_per_s");
  EXPECT_EQ(errors.at(1).at("pointer"), "/bytes_per_s");
  EXPECT_EQ(errors.at(2).at("pointer"), "/burst");
  problem(put("/v1/pipelines/ad-uv/throttle", "{}"), 422, "invalid_body");
  problem(put("/v1/pipelines/ad-uv/throttle", R"({"source":"none","bytes_per_s":1})"), 404, "source_not_found");
  EXPECT_EQ(control.status.sources[0].limits, (admin::RateLimits{200'000, std::nullopt}));
}

TEST_F(Api, PlansADiscardForEachTarget) {
  using Kind = admin::DiscardTarget::Kind;
  const auto plan = json(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest"})"));
  EXPECT_EQ(plan.at("plan"), "d1");
  EXPECT_EQ(plan.at("records"), 4'312'903);
  EXPECT_EQ(plan.at("pending_lanes"), 1);
  EXPECT_EQ(plan.at("ranges").as_array().at(0).at("to"), 4'313'003);
  EXPECT_TRUE(plan.at("ranges").as_array().at(1).at("from").is_null());
  EXPECT_EQ(plan.at("touched_steps").as_array().at(0), "uv");
  EXPECT_EQ(control.asked_source, std::nullopt);

  post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":{"keep_last":"5m"},"source":"clicks"})");
  EXPECT_EQ(control.asked_target, (admin::DiscardTarget{Kind::keep_last, 300'000}));
  EXPECT_EQ(control.asked_source, "clicks");
  post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":{"timestamp":"2026-01-01T08:00:00.250+08:00"}})");
  EXPECT_EQ(control.asked_target, (admin::DiscardTarget{Kind::timestamp, 1'767'225'600'250}));
  post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":{"timestamp":1767225600000}})");
  EXPECT_EQ(control.asked_target, (admin::DiscardTarget{Kind::timestamp, 1'767'225'600'000}));
}

TEST_F(Api, RefusesTargetsItDoesNotUnderstand) {
  for (const char* target :
       {R"("newest")", R"({})", R"({"keep_last":"5"})", R"({"keep_last":300})", R"({"timestamp":"yesterday"})",
        R"({"timestamp":-1})", R"({"timestamp":1,"keep_last":"5m"})", R"({"offset":3})"}) {
    const auto body =
        problem(post("/v1/pipelines/ad-uv/lag-discards:plan", std::string(R"({"target":)") + target + "}"), 422,
                "invalid_body");
    EXPECT_TRUE(std::string(body.at("errors").as_array().at(0).at("pointer").as_string()).starts_with("/target"))
        << target;
  }
  problem(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":3})"), 422, "invalid_body");
  problem(post("/v1/pipelines/ad-uv/lag-discards:plan", ""), 400, "malformed_json");
  problem(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest","source":"none"})"), 404,
          "source_not_found");
}

TEST_F(Api, ExecutesAPlanOnceAndKeepsItInTheLedger) {
  problem(post("/v1/pipelines/ad-uv/lag-discards", R"({"plan":"d1"})"), 422, "invalid_body");
  problem(post("/v1/pipelines/ad-uv/lag-discards", R"({"plan":"d1","reason":""})"), 409, "reason_missing");
  problem(post("/v1/pipelines/ad-uv/lag-discards", R"({"plan":"d9","reason":"r"})"), 409, "plan_unknown");
  EXPECT_EQ(json(get("/v1/pipelines/ad-uv/lag-discards")).at("total"), 0);

  const auto done = json(post("/v1/pipelines/ad-uv/lag-discards", R"({"plan":"d1","reason":"stale"})"));
  EXPECT_EQ(done.at("records"), 4'312'753);
  EXPECT_EQ(done.at("ranges").as_array().at(0).at("from"), 250);
  EXPECT_TRUE(done.at("durable_in").is_null());
  problem(post("/v1/pipelines/ad-uv/lag-discards", R"({"plan":"d1","reason":"stale"})"), 409, "plan_executed");

  const auto all = json(get("/v1/pipelines/ad-uv/lag-discards?limit=10"));
  EXPECT_EQ(all.at("discards").as_array().size(), 1u);
  EXPECT_EQ(all.at("discards").as_array().at(0).at("reason"), "stale");
  problem(get("/v1/pipelines/ad-uv/lag-discards?limit=0"), 400, "bad_parameter");
  problem(get("/v1/pipelines/ad-uv/lag-discards?limit=10x"), 400, "bad_parameter");
  problem(get("/v1/pipelines/ad-uv/lag-discards?page=2"), 400, "unknown_parameter");
}

TEST_F(Api, CodesOfPlanRefusalsAreThoseOfThrottle) {
  throttle::PlanBook book(1);
  const std::string id = book.add("a", {}, 0).id;
  EXPECT_STREQ(book.take(id, "a", " ", 0).error().code, admin::kReasonMissing);
  EXPECT_STREQ(book.take("x", "a", "r", 0).error().code, admin::kPlanUnknown);
  EXPECT_STREQ(book.take(id, "b", "r", 0).error().code, admin::kPlanForeign);
  EXPECT_STREQ(book.take(id, "a", "r", throttle::PlanBook::kValidMs).error().code, admin::kPlanExpired);
  EXPECT_TRUE(book.take(id, "a", "r", 0));
  EXPECT_STREQ(book.take(id, "a", "r", 0).error().code, admin::kPlanExecuted);
}

TEST_F(Api, VersionAndListingComeFromTheProcessAndTheTable) {
  EXPECT_EQ(json(get("/v1/version")).at("version"), "0.1.0");
  const auto listing = json(get("/v1/openapi.json"));
  EXPECT_EQ(listing.at("openapi"), "3.1.0");
  EXPECT_EQ(listing.at("info").at("version"), "0.1.0");
  const auto table = admin::make_endpoints(control, clock);
  std::size_t operations = 0;
  for (const auto& [path, methods] : listing.at("paths").as_object()) operations += methods.as_object().size();
  EXPECT_EQ(operations, table.endpoints().size());
  const auto& plan = listing.at("paths").at("/v1/pipelines/{p}/lag-discards:plan").at("post");
  EXPECT_EQ(plan.at("x-role"), "operator");
  EXPECT_EQ(plan.at("requestBody").at("content").at("application/json").at("schema").at("required").as_array().at(0),
            "target");
}

TEST_F(Api, EveryEndpointOfTheTableAnswersThroughTheSocket) {
  const auto table = admin::make_endpoints(control, clock);
  for (const admin::Endpoint& endpoint : table.endpoints()) {
    std::string path = endpoint.path;
    if (const auto at = path.find("{p}"); at != std::string::npos) path.replace(at, 3, "ad-uv");
    const std::string body = endpoint.method == "GET" ? "" : "{}";
    const auto reply = endpoint.method == "GET"   ? get(path)
                       : endpoint.method == "PUT" ? put(path, body)
                                                  : post(path, body);
    EXPECT_TRUE(reply.status == 200 || reply.status == 422)
        << endpoint.method << ' ' << path << ' ' << reply.status << reply.body;
  }
}

TEST_F(Api, MetricsHaveHelpTypePrefixAndEscapedLabels) {
  const auto reply = get("/metrics");
  EXPECT_EQ(reply.content_type, admin::kMetricsContentType);
  for (const char* line : {
           "# TYPE twinspan_source_lag_records gauge\n",
           "twinspan_source_lag_records{pipeline=\"ad-uv\",source=\"impressions\",cluster=\"east\"} 1000\n",
           "twinspan_cluster_up{pipeline=\"ad-uv\",source=\"impressions\",cluster=\"west\",role=\"source\"} "
           "0\n",
           "twinspan_watermark_lag_seconds{pipeline=\"ad-uv\",source=\"impressions\",kind=\"retention\"} 9\n",
           "twinspan_pipeline_state{pipeline=\"ad-uv\",state=\"running\"} 1\n",
           "twinspan_sink_active{pipeline=\"ad-uv\",sink=\"uv_out\",cluster=\"east\"} 1\n",
           "twinspan_checkpoint_last_duration_seconds{pipeline=\"ad-uv\"} 0.035\n",
           "twinspan_dead_letter_total{pipeline=\"ad-uv\"} 7\n",
           "twinspan_restarts_total{pipeline=\"a\\\"b\\\\c\\nd\"} 1\n",
           "twinspan_build_info{version=\"0.1.0\",commit=\"abcdef\"} 1\n",
           "twinspan_process_resident_memory_bytes 52428800\n",
       }) {
    EXPECT_NE(reply.body.find(line), std::string::npos) << line << reply.body;
  }
  EXPECT_EQ(reply.body.find("untyped"), std::string::npos);
}

TEST_F(Api, WhatAHandlerThrowsIsNotShownToTheClient) {
  control.throws = true;
  const auto reply = post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest"})");
  problem(reply, 500, "internal");
  EXPECT_EQ(reply.body.find("secret"), std::string::npos);
}

TEST_F(Api, SlowCallsDoNotDelayProbes) {
  control.block();
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back(
        [this] { EXPECT_EQ(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest"})").status, 200); });
  }
  while (control.waiting < 2) std::this_thread::yield();  // both workers are taken
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/v1/pipelines/ad-uv").status, 200);
  control.let_go();
}

TEST_F(Api, StopAnswersWhatIsRunningAndRefusesWhatComesLater) {
  control.block();
  std::jthread caller(
      [this] { EXPECT_EQ(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest"})").status, 200); });
  while (control.waiting < 1) std::this_thread::yield();
  RawConnection idle(server->address());
  idle.send(request("GET /livez"));
  idle.read_response();
  const auto where = client();
  std::jthread stopper([this] { server->stop(); });
  EXPECT_TRUE(idle.closed_by_server());
  control.let_go();
  stopper.join();
  caller.join();
  const auto refused = where.get("/livez");
  ASSERT_FALSE(refused);
  EXPECT_STREQ(refused.error().code, admin::Client::kUnreachable);
  server->stop();  // twice is fine
}

TEST_F(Api, ThePortInUseIsNamed) {
  admin::HttpServer::Options options;
  options.listen = server->address();
  const auto second = admin::HttpServer::start(options, admin::EndpointTable());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::config);
  EXPECT_STREQ(second.error().code, "address_in_use");
  EXPECT_NE(second.error().message.find(server->address()), std::string::npos);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
}

TEST_F(Api, OnlyLoopbackAddressesAreListenedOn) {
  for (const char* listen : {"0.0.0.0:0", ":0", "192.0.2.7:0", "[::]:0", "example.com:0"}) {
    const auto started = admin::HttpServer::start({.listen = listen}, admin::EndpointTable());
    ASSERT_FALSE(started) << listen;
    EXPECT_EQ(started.error().kind, ErrorKind::config);
    EXPECT_NE(started.error().message.find(listen), std::string::npos) << started.error().message;
    EXPECT_NE(started.error().message.find("loopback"), std::string::npos);
  }
  for (const char* listen : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", "[::1:8480", ""}) {
    EXPECT_FALSE(admin::HttpServer::start({.listen = listen}, admin::EndpointTable())) << listen;
  }
  EXPECT_TRUE(admin::HttpServer::start({.listen = "localhost:0"}, admin::EndpointTable()));
}

}  // namespace
}  // namespace twinspan::testing
