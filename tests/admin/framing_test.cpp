// What clients may send that is wrong, slow, large or hostile, byte by byte.
#include <thread>
#include <vector>

#include "tests/admin/served.h"

namespace twinspan::testing {
namespace {

class Framing : public Served {
 protected:
  void expect(const std::string& response, int status, const std::string& code) {
    EXPECT_TRUE(response.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << response;
    EXPECT_NE(response.find("application/problem+json"), std::string::npos) << response;
    EXPECT_NE(response.find("\"code\":\"" + code + "\""), std::string::npos) << response;
  }
  // Answered with this problem, and then closed: nothing that follows is read as a request.
  void expect_closed(const std::string& bytes, int status, const std::string& code) {
    RawConnection connection(server->address());
    connection.send(bytes);
    connection.send(request("GET /livez"));
    const std::string all = connection.read_to_end();
    expect(all, status, code);
    EXPECT_EQ(all.find("}HTTP/1.1"), std::string::npos) << "a second response: " << all;
    EXPECT_NE(all.find("Connection: close"), std::string::npos) << all;
  }
};

TEST_F(Framing, AnyTransferEncodingIsRefusedAndClosed) {
  for (const char* coding : {"chunked", "Chunked", "gzip", "identity", "gzip, chunked", "xchunked", ""}) {
    expect_closed(request("POST /v1/pipelines/ad-uv:pause",
                          "Content-Type: application/json\r\nTransfer-Encoding: " + std::string(coding) + "\r\n",
                          "2\r\n{}\r\n0\r\n\r\n"),
                  400, "transfer_encoding");
  }
}

TEST_F(Framing, TransferEncodingWithContentLengthIsRefused) {
  for (const char* headers :
       {"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n"}) {
    RawConnection connection(server->address());
    connection.send(request("POST /v1/pipelines/ad-uv:pause", headers, "{}"));
    EXPECT_TRUE(connection.read_to_end().starts_with("HTTP/1.1 400 "));
  }
  EXPECT_EQ(control.status.state, admin::PipelineState::running);
}

TEST_F(Framing, TwoContentLengthsAreRefused) {
  expect_closed(request("POST /v1/pipelines/ad-uv:pause", "Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), 400,
                "bad_request");
  expect_closed(request("POST /v1/pipelines/ad-uv:pause", "Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 400,
                "bad_request");
  expect_closed(request("POST /v1/pipelines/ad-uv:pause", "Content-Length: -2\r\n", "{}"), 400, "bad_request");
}

TEST_F(Framing, AHeaderOverTheLimitIsRefused) {
  expect_closed(request("GET /livez", "X-Fill: " + std::string(9'000, 'x') + "\r\n"), 431, "header_too_large");
  expect_closed("GET /" + std::string(20'000, 'a'), 431, "header_too_large");
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(Framing, ABodyOverTheLimitIsRefusedBeforeItIsRead) {
  const std::string large(2 << 20, ' ');
  RawConnection connection(server->address());
  connection.send(request("POST /v1/pipelines/ad-uv:pause",
                          "Content-Type: application/json\r\nContent-Length: " + std::to_string(large.size()) + "\r\n",
                          large));
  expect(connection.read_to_end(), 413, "body_too_large");
  RawConnection promised(server->address());
  promised.send(request("POST /v1/pipelines/ad-uv:pause", "Content-Length: 99999999999999\r\n"));
  expect(promised.read_response(), 413, "body_too_large");
}

TEST_F(Framing, ABodyAtTheLimitIsRead) {
  std::string body = R"({"reason":"r"})";
  body.resize(1024 * 1024, ' ');
  EXPECT_EQ(post("/v1/pipelines/ad-uv:pause", body).status, 200);
}

TEST_F(Framing, GarbageIsAnsweredAndClosed) {
  expect_closed("\x16\x03\x01\x02garbage\r\n\r\n", 400, "bad_request");
  expect_closed("GET\r\n\r\n", 400, "bad_request");
  expect_closed("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "bad_request");
  expect_closed("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\nX y\r\n\r\n", 400, "bad_request");
  expect_closed("GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", 505, "http_version");
  expect_closed("GET / HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", 505, "http_version");
}

TEST_F(Framing, PipelinedRequestsAreAnsweredInOrderUntilGarbage) {
  RawConnection connection(server->address());
  connection.send(request("GET /livez") + request("GET /v1/version") + "\x01garbage\r\n\r\n" + request("GET /livez"));
  EXPECT_TRUE(connection.read_response().ends_with("ok\n"));
  EXPECT_NE(connection.read_response().find("abcdef"), std::string::npos);
  expect(connection.read_response(), 400, "bad_request");
  EXPECT_TRUE(connection.closed_by_server());
}

TEST_F(Framing, AConnectionServesManyRequests) {
  RawConnection connection(server->address());
  for (int i = 0; i < 50; ++i) {
    connection.send(request("GET /livez"));
    EXPECT_TRUE(connection.read_response().ends_with("ok\n"));
  }
}

TEST_F(Framing, HeadSendsNoBody) {
  RawConnection connection(server->address());
  connection.send(request("HEAD /livez") + request("GET /livez", "Connection: close\r\n"));
  const std::string both = connection.read_to_end();
  EXPECT_TRUE(both.starts_with("HTTP/1.1 405 ")) << both;
  EXPECT_EQ(both.find('{'), std::string::npos) << both;
  EXPECT_NE(both.find("\r\n\r\nHTTP/1.1 200 "), std::string::npos) << both;
}

TEST_F(Framing, ExpectContinueIsAnswered) {
  RawConnection connection(server->address());
  connection.send(request("POST /v1/pipelines/ad-uv:pause",
                          "Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(connection.read_response(), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send("{}");
  EXPECT_TRUE(connection.read_response().starts_with("HTTP/1.1 200 "));
}

TEST_F(Framing, ASlowHeaderIsCutOff) {
  server->stop();
  start({.header_deadline_ms = 150});
  RawConnection slow(server->address()), silent(server->address());
  slow.send("GET /livez HTTP/1.1\r\nHost: 127");
  expect(slow.read_to_end(), 408, "timeout");
  EXPECT_EQ(silent.read_to_end(), "");
}

TEST_F(Framing, ASlowBodyIsCutOff) {
  server->stop();
  start({.request_deadline_ms = 150});
  RawConnection slow(server->address());
  slow.send(
      request("POST /v1/pipelines/ad-uv:pause", "Content-Type: application/json\r\nContent-Length: 20\r\n", "{\"rea"));
  expect(slow.read_to_end(), 408, "timeout");
  EXPECT_EQ(control.status.state, admin::PipelineState::running);
}

TEST_F(Framing, AnIdleConnectionIsClosedInTheEnd) {
  server->stop();
  start({.idle_deadline_ms = 100});
  RawConnection connection(server->address());
  connection.send(request("GET /livez"));
  EXPECT_TRUE(connection.read_response().ends_with("ok\n"));
  EXPECT_TRUE(connection.closed_by_server());
}

TEST_F(Framing, AReboundHostNameIsRefused) {
  for (const char* host : {"evil.example", "evil.example:8480", "127.0.0.1.evil.example", "localhost.evil.example:1",
                           "192.0.2.1", "", "127.0.0.1:x", "[::1", "user@127.0.0.1", "2130706433"}) {
    expect_closed("POST /v1/pipelines/ad-uv:pause HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n", 421,
                  "host_refused");
  }
  expect_closed("GET /livez HTTP/1.1\r\n\r\n", 400, "bad_request");
  expect_closed("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 400, "bad_request");
  for (const char* host : {"localhost", "LOCALHOST:8480", "127.0.0.1", "127.0.0.53:99", "[::1]:8480"}) {
    EXPECT_TRUE(raw("GET /livez HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n").starts_with("HTTP/1.1 200 "))
        << host;
  }
  EXPECT_EQ(control.status.state, admin::PipelineState::running);
}

TEST_F(Framing, PagesOfOtherOriginsMayReadNothingAndChangeNothing) {
  for (const char* headers : {"Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: http://127.0.0.1:1\r\n",
                              "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"}) {
    expect(raw(request("POST /v1/pipelines/ad-uv:pause", headers)), 403, "origin_refused");
  }
  EXPECT_EQ(control.status.state, admin::PipelineState::running);
  const std::string own = raw(request("POST /v1/pipelines/ad-uv:pause",
                                      "Origin: http://" + server->address() + "\r\nSec-Fetch-Site: same-origin\r\n"));
  EXPECT_TRUE(own.starts_with("HTTP/1.1 200 ")) << own;
  EXPECT_EQ(raw(request("GET /v1/pipelines", "Origin: https://evil.example\r\n")).find("Access-Control"),
            std::string::npos);
}

TEST_F(Framing, OtherMediaTypesAreRefused) {
  for (const char* type : {"Content-Type: application/x-www-form-urlencoded\r\n", "Content-Type: text/plain\r\n", ""}) {
    expect(raw(request("POST /v1/pipelines/ad-uv:pause", std::string(type) + "Content-Length: 2\r\n", "{}")), 415,
           "not_json");
  }
  EXPECT_TRUE(raw(request("POST /v1/pipelines/ad-uv:pause",
                          "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n", "{}"))
                  .starts_with("HTTP/1.1 200 "));
}

TEST_F(Framing, AnAcceptHeaderThatExcludesTheAnswerIs406) {
  expect(raw(request("GET /v1/pipelines", "Accept: text/html\r\n")), 406, "not_acceptable");
  expect(raw(request("GET /metrics", "Accept: application/json\r\n")), 406, "not_acceptable");
  for (const char* accept : {"*/*", "text/html, application/*;q=0.1", "application/json", "text/html;q=1, */*;q=0.5"}) {
    EXPECT_TRUE(
        raw(request("GET /v1/pipelines", "Accept: " + std::string(accept) + "\r\n")).starts_with("HTTP/1.1 200 "))
        << accept;
  }
  EXPECT_TRUE(raw(request("GET /metrics",
                          "Accept: "
                          "application/openmetrics-text;version=1.0.0;q=0.75,text/"
                          "plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"))
                  .starts_with("HTTP/1.1 200 "));
}

TEST_F(Framing, UnknownPathsAndMethodsAreProblems) {
  for (const char* path :
       {"/", "/v1", "/v1/pipeline", "/v1/pipelines/", "/v1/pipelines/ad-uv/", "/v1/pipelines/ad-uv:stop",
        "/v1/pipelines/:pause", "/v1/pipelines/a/b/c", "//livez", "/livez/", "/v1/../livez"}) {
    expect(raw(request(std::string("GET ") + path)), 404, "no_such_path");
  }
  for (const char* target : {"http://evil.example/livez", "*", "/%zz", "livez"}) {
    const std::string response = raw(request(std::string("GET ") + target));
    expect(response, 400, "bad_target");
  }
  const std::string wrong = raw(request("DELETE /v1/pipelines/ad-uv/throttle"));
  expect(wrong, 405, "method_not_allowed");
  EXPECT_NE(wrong.find("Allow: GET, PUT\r\n"), std::string::npos) << wrong;
  EXPECT_NE(raw(request("GET /v1/pipelines/ad-uv:pause")).find("Allow: POST\r\n"), std::string::npos);
  expect(raw(request("GET /v1/pipelines/a%20b")), 404, "pipeline_not_found");
}

TEST_F(Framing, BadJsonIsLocated) {
  const auto located = [&](const std::string& body, int line, int column, int offset) {
    const auto p = problem(post("/v1/pipelines/ad-uv:pause", body), 400, "malformed_json");
    const auto& at = p.at("errors").as_array().at(0);
    EXPECT_EQ(at.at("line"), line) << body;
    EXPECT_EQ(at.at("column"), column) << body;
    EXPECT_EQ(at.at("offset"), offset) << body;
  };
  located("{\"reason\": oops}", 1, 12, 11);
  located("{\n  \"reason\" 3}", 2, 12, 13);
  located("{\"reason\":\"r\"", 1, 14, 13);
  located("{} {}", 1, 4, 3);
  problem(post("/v1/pipelines/ad-uv:pause", std::string(1'000, '[')), 400, "malformed_json");
  problem(post("/v1/pipelines/ad-uv:pause", "\"\xff\""), 400, "malformed_json");
  EXPECT_EQ(
      problem(post("/v1/pipelines/ad-uv:pause", "[]"), 422, "invalid_body").at("errors").as_array().at(0).at("pointer"),
      "");
  EXPECT_EQ(problem(post("/v1/pipelines/ad-uv:pause", R"({"a/b~c":1})"), 422, "invalid_body")
                .at("errors")
                .as_array()
                .at(0)
                .at("pointer"),
            "/a~1b~0c");
}

TEST_F(Framing, EveryResponseHasAnIdAndSafeHeaders) {
  const std::string a = raw(request("GET /livez")), b = raw(request("GET /livez"));
  for (const char* header : {"X-Request-Id: ", "Cache-Control: no-store\r\n", "X-Content-Type-Options: nosniff\r\n",
                             "Content-Security-Policy: "}) {
    EXPECT_NE(a.find(header), std::string::npos) << header;
  }
  const auto id = [](const std::string& r) { return r.substr(r.find("X-Request-Id: "), 40); };
  EXPECT_NE(id(a), id(b));
}

TEST_F(Framing, ThreeHundredSilentConnectionsDoNotLockOutAnHonestOne) {
  std::vector<RawConnection> many;
  for (int i = 0; i < 300; ++i) {
    many.emplace_back(server->address());
    ASSERT_TRUE(many.back().connected());
    many.back().send("GET /livez HTTP/1.1\r\n");
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/livez").status, 200);
  EXPECT_LE(server->connections(), 256u);
  // The newest ones are still served; the oldest made room.
  many.back().send("Host: 127.0.0.1\r\n\r\n");
  EXPECT_TRUE(many.back().read_response().ends_with("ok\n"));
  EXPECT_TRUE(many.front().closed_by_server());
}

TEST_F(Framing, WhenAllConnectionsAreBusyTheNextIsToldSo) {
  server->stop();
  start({.max_connections = 2, .workers = 2});
  control.block();
  std::vector<std::jthread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back(
        [this] { EXPECT_EQ(post("/v1/pipelines/ad-uv/lag-discards:plan", R"({"target":"latest"})").status, 200); });
  }
  while (control.waiting < 2) std::this_thread::yield();
  const std::string refused = raw(request("GET /livez"));
  control.let_go();
  expect(refused, 503, "too_many_connections");
  EXPECT_NE(refused.find("Retry-After: 1\r\n"), std::string::npos);
}

}  // namespace
}  // namespace twinspan::testing
