#pragma once
// The program under test as a user runs it: `twinspan run -c service.yaml pipeline.yaml` in a directory of
// its own, asked through its HTTP API, ended by signals. It dies with the test. Throws std::runtime_error,
// with the end of the program's log, when something does not happen in time. Thread: one, except get(),
// post() and put(): any.

#include <sys/types.h>

#include <boost/json/value.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/kafka_cluster.h"

namespace twinspan::testing {

struct HttpReply {
  int status = 0;
  std::string body;
  boost::json::value json() const;
};

// A port of loopback that is free now and from which no outgoing connection starts.
int free_port();

class TwinspanProcess {
 public:
  struct Options {
    std::map<std::string, std::string> clusters;  // name -> bootstrap
    std::string data_directory;                   // empty: one below ours
    int admin_port = 0;                           // 0: a free one
    std::vector<std::string> arguments;           // such as --bounded
  };

  // Writes the files; start() runs it.
  TwinspanProcess(const std::string& pipeline_yaml, Options options);
  ~TwinspanProcess();

  void start();                                                                     // returns at once
  void start_and_wait(std::chrono::milliseconds limit = std::chrono::seconds(15));  // until /readyz says 200
  void kill9();
  void sigstop();  // as a machine without a time slice: what others send stays with them or in the socket
  void sigcont();
  void interrupt();                                                          // Ctrl-C
  int stop(std::chrono::milliseconds limit = std::chrono::seconds(20));      // Ctrl-C; its exit code
  int wait_end(std::chrono::milliseconds limit = std::chrono::seconds(30));  // its exit code; 128 + signal
  bool running();

  const std::string& name() const { return name_; }  // of the pipeline
  int admin_port() const { return options_.admin_port; }
  const std::string& directory() const { return dir_.path(); }
  const std::string& data_directory() const { return options_.data_directory; }
  std::string log() const;  // of all runs

  HttpReply get(const std::string& path) const { return call("GET", path, ""); }
  HttpReply post(const std::string& path, const std::string& body = "") const { return call("POST", path, body); }
  HttpReply put(const std::string& path, const std::string& body) const { return call("PUT", path, body); }
  // GET /v1/pipelines/{name}, or what is below it.
  boost::json::value pipeline(const std::string& below = "") const;

  // Asks until `done` is true of the pipeline's status.
  void wait_until(const std::string& what, const std::function<bool(const boost::json::value&)>& done,
                  std::chrono::milliseconds limit = std::chrono::seconds(30));
  // Every lane read up to the given end offsets: (cluster, topic) -> by partition.
  using Ends = std::map<std::pair<std::string, std::string>, std::vector<std::int64_t>>;
  void wait_read(const Ends& ends, std::chrono::milliseconds limit = std::chrono::seconds(30));
  // A checkpoint that began after this call is there.
  void wait_checkpoint(std::chrono::milliseconds limit = std::chrono::seconds(15));

 private:
  HttpReply call(const std::string& method, const std::string& path, const std::string& body) const;
  [[noreturn]] void fail(const std::string& what) const;

  TempDir dir_;
  Options options_;
  std::string name_;
  pid_t pid_ = -1;
};

}  // namespace twinspan::testing
