#include "config/parse.h"
#include "tests/config/example_pipeline.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace twinspan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPassword = "hunter2-correct-horse";

class ServiceFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "twinspan-config-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    write("kafka_east", std::string(kPassword) + "\n");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) { std::ofstream(directory_ / name) << text; }

  std::optional<ServiceSpec> parse(const std::string& text) {
    const EnvLookup env = [this](std::string_view name) {
      return name == "CREDENTIALS_DIRECTORY" ? std::optional(directory_.string()) : std::nullopt;
    };
    return parse_service(text, "service.yaml", env, diagnostics_);
  }

  std::filesystem::path directory_;
  Diagnostics diagnostics_;
};

TEST_F(ServiceFile, ExampleIsReadCompletely) {
  const auto service = parse(twinspan::testing::kServiceExample);
  ASSERT_TRUE(service) << diagnostics_.render();
  EXPECT_TRUE(diagnostics_.all().empty()) << diagnostics_.render();
  const ClusterSpec& east = *service->clusters.find("east");
  EXPECT_EQ(east.bootstrap[1].value, "k2.east.example:9093");
  EXPECT_STREQ(librdkafka_name(east.security.protocol.value), "sasl_ssl");
  EXPECT_STREQ(librdkafka_name(east.security.mechanism->value), "SCRAM-SHA-512");
  EXPECT_EQ(east.security.user.value, "twinspan");
  EXPECT_EQ(east.security.password.reveal(), kPassword);
  EXPECT_EQ(service->clusters.find("west")->security.protocol.value, SecurityProtocol::ssl);
  EXPECT_EQ(service->data_directory, "/var/lib/twinspan");
  EXPECT_EQ(service->admin.listen.value, "127.0.0.1:8480");
  EXPECT_EQ(service->log.level, LogLevel::info);
  EXPECT_EQ(east.watchdog.every, std::chrono::milliseconds(500));
}

TEST_F(ServiceFile, DefaultsNeedOnlyClusters) {
  const auto service = parse("clusters: { local: { bootstrap: [\"localhost:9092\"] } }\n");
  ASSERT_TRUE(service) << diagnostics_.render();
  EXPECT_EQ(service->data_directory, "./twinspan-data");
  EXPECT_EQ(service->clusters.find("local")->security.protocol.value, SecurityProtocol::plaintext);
}

TEST_F(ServiceFile, SecretPrintsAsItsReference) {
  const auto service = parse(twinspan::testing::kServiceExample);
  ASSERT_TRUE(service);
  const Secret& password = service->clusters.find("east")->security.password;
  std::ostringstream stream;
  stream << password;
  EXPECT_EQ(stream.str(), "${secret:kafka_east}");
  EXPECT_EQ(fmt::format("{}", password), "${secret:kafka_east}");
  EXPECT_EQ(password.to_string(), "${secret:kafka_east}");
}

TEST_F(ServiceFile, SecretNeverShowsInDiagnostics) {
  // The secret where it does not belong, a literal one beside an error, one under a misspelt key, one in a broken line.
  for (const std::string& text : {
           std::string("clusters: { a: { bootstrap: [\"e:1\"] } }\ndata_directory: \"${secret:kafka_east}\"\nsecrets: "
                       "{ directory: \"${env:CREDENTIALS_DIRECTORY}\" }\n"),
           fmt::format("clusters: {{ a: {{ bootstrap: [\"e:1\"], security: {{ password: {}, protocl: ssl }} }} }}\n",
                       kPassword),
           fmt::format(
               "clusters: {{ a: {{ bootstrap: [\"e:1\"], security: {{ password: \"{}\", protocl: ssl }} }} }}\n",
               kPassword),
           fmt::format("clusters: {{ a: {{ bootstrap: [\"e:1\"], security: {{ pasword: {} }} }} }}\n", kPassword),
           fmt::format("clusters: {{ a: {{ security: {{ password: '{}' ]\n", kPassword),
           fmt::format("clusters: {{ a: {{ bootstrap: [\"e:1\"], security: {{ password: [{}] }} }} }}\n", kPassword),
       }) {
    diagnostics_ = {};
    EXPECT_FALSE(parse(text)) << text;
    EXPECT_THAT(diagnostics_.render(), Not(HasSubstr(kPassword)));
    EXPECT_THAT(diagnostics_.to_json(), Not(HasSubstr(kPassword)));
  }
}

TEST_F(ServiceFile, SecretElsewhereIsRefused) {
  EXPECT_FALSE(
      parse("clusters: { a: { bootstrap: [\"${secret:kafka_east}\"] } }\nsecrets: { directory: "
            "\"${env:CREDENTIALS_DIRECTORY}\" }\n"));
  EXPECT_THAT(diagnostics_.render(), HasSubstr("service.yaml:1:30: error[T0125]: a secret cannot be used here"));
}

TEST_F(ServiceFile, OnlyOneLineEndIsCutFromASecret) {
  write("two", "x\n\n");
  write("windows", "y\r\n");
  write("empty", "\n");
  const SecretDirectory secrets(directory_.string());
  EXPECT_EQ(secrets.read("two").value(), "x\n");
  EXPECT_EQ(secrets.read("windows").value(), "y");
  EXPECT_FALSE(secrets.read("empty"));
  EXPECT_FALSE(secrets.read("absent"));
}

TEST_F(ServiceFile, EnvironmentMayHaveADefaultAndIsNeverParsedAgain) {
  const EnvLookup env = [](std::string_view name) {
    return name == "DIR" ? std::optional<std::string>("{ a: ${env:DIR} } # x") : std::nullopt;
  };
  const auto service = parse_service(
      "clusters: { a: { bootstrap: [\"${env:HOST:-localhost}:9092\"] } }\ndata_directory: ${env:DIR}/$${x}\n", "s.yaml",
      env, diagnostics_);
  ASSERT_TRUE(service) << diagnostics_.render();
  EXPECT_EQ(service->clusters.find("a")->bootstrap[0].value, "localhost:9092");
  EXPECT_EQ(service->data_directory, "{ a: ${env:DIR} } # x/${x}");
}

}  // namespace
}  // namespace twinspan::config
