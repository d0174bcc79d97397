#include "admin/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <istream>
#include <ostream>

#include "admin/client.h"
#include "admin/command_line.h"
#include "admin/status_text.h"
#include "admin/time_text.h"

namespace twinspan::admin {
namespace {

namespace json = boost::json;

constexpr std::array kCommands = std::to_array<CommandInfo>({
    {"status", "status [PIPELINE]", "state, clusters, rates, checkpoint, route; all pipelines or one in detail"},
    {"lag", "lag [PIPELINE] [--partitions]", "how far behind, by cluster or by partition"},
    {"discard-lag",
     "discard-lag [PIPELINE] [--source S] [--to latest|TIME|keep-last=5m] --reason R [--dry-run] [--yes]",
     "skip a backlog on all clusters: shows the plan, asks, executes"},
    {"discards", "discards [PIPELINE]", "what was skipped, when and why"},
    {"pause", "pause [PIPELINE] [--reason R]", "stop reading; everything stays where it is"},
    {"resume", "resume [PIPELINE]", "go on from where it was paused"},
    {"throttle", "throttle [PIPELINE] [SOURCE] [--max-rate N|unlimited] [--max-bytes N|unlimited]",
     "show or change rate limits; 0 pauses a source"},
});

// Thrown only inside this file: ends a command with its exit code; the message is out already.
struct Exit {
  int code;
};

std::string encode(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~')
      out += static_cast<char>(c);
    else
      out += fmt::format("%{:02X}", c);
  }
  return out;
}

// What every command works with.
class Session {
 public:
  Session(const CommandIo& io, CommandLine line, Client client)
      : io(io), line(std::move(line)), client_(std::move(client)) {}

  const CommandIo& io;
  const CommandLine line;

  json::value get(const std::string& path) { return checked(client_.get(path)); }
  json::value post(const std::string& path, const json::value& body) {
    return checked(client_.post(path, json::serialize(body)));
  }
  json::value put(const std::string& path, const json::value& body) {
    return checked(client_.put(path, json::serialize(body)));
  }

  bool as_json() const { return line.has("json"); }
  // With --json the last answer as it came, else `print`.
  template <class Print>
  void show(Print print) const {
    if (as_json())
      io.out << last_body_ << '\n';
    else
      print();
  }

  // The pipeline named first; without a name the only one there is.
  std::string pipeline() {
    if (!line.positional.empty()) return line.positional[0];
    const json::value all = get("/v1/pipelines");
    const json::array& list = all.at("pipelines").as_array();
    if (list.size() == 1) return std::string(list[0].at("name").as_string());
    std::string names;
    for (const json::value& p : list) names += (names.empty() ? "" : ", ") + std::string(p.at("name").as_string());
    fail(kExitUsage, list.empty() ? "there is no pipeline" : "which pipeline? There are: " + names);
  }
  std::string path() { return "/v1/pipelines/" + encode(pipeline()); }

  [[noreturn]] void fail(int code, const std::string& message) const {
    io.err << "twinspan: " << message << '\n';
    throw Exit{code};
  }

 private:
  json::value checked(Result<HttpReply> reply) {
    if (!reply) {
      fail(std::string_view(reply.error().code) == Client::kTimedOut ? kExitTimedOut : kExitFailed,
           reply.error().message);
    }
    last_body_ = reply.value().body;
    json::error_code error;
    json::value body = json::parse(last_body_, error);
    if (reply.value().good()) {
      if (error) fail(kExitFailed, "the server's answer is not JSON: is that Twinspan?");
      return body;
    }
    report(reply.value(), error ? json::value() : body);
  }

  [[noreturn]] void report(const HttpReply& reply, const json::value& problem) const {
    if (as_json() && problem.is_object()) io.out << last_body_ << '\n';
    std::string message = fmt::format("HTTP status {}", reply.status);
    if (problem.is_object()) {
      const json::object& p = problem.as_object();
      if (const json::value* detail = p.if_contains("detail"); detail != nullptr && detail->is_string())
        message = detail->as_string();
      if (const json::value* errors = p.if_contains("errors"); errors != nullptr && errors->is_array()) {
        for (const json::value& e : errors->as_array()) {
          const json::value* hint = e.is_object() ? e.as_object().if_contains("hint") : nullptr;
          if (hint != nullptr && hint->is_string())
            message += fmt::format("\n  hint: {}", std::string(hint->as_string()));
        }
      }
    }
    switch (reply.status) {
      case 401:
      case 403: fail(kExitDenied, message);
      case 409: fail(kExitConflict, message);
      case 400:
      case 422: fail(kExitUsage, message);
      case 408:
      case 504: fail(kExitTimedOut, message);
      default: fail(kExitFailed, message);
    }
  }

  Client client_;
  std::string last_body_;
};

void status(Session& s) {
  if (s.line.positional.empty()) {
    const json::value all = s.get("/v1/pipelines");
    s.show([&] { print_pipelines(all, s.io.clock.wall_ms(), s.io.out); });
    return;
  }
  const json::value pipeline = s.get(s.path());
  s.show([&] { print_pipeline(pipeline, s.io.clock.wall_ms(), s.io.out); });
}

void lag(Session& s) {
  const json::value pipeline = s.get(s.path());
  s.show([&] { print_lag(pipeline, s.line.has("partitions"), s.io.out); });
}

void pause(Session& s) {
  json::object body;
  if (const auto reason = s.line.get("reason")) body["reason"] = *reason;
  const json::value now = s.post(s.path() + ":pause", body);
  s.show(
      [&] { s.io.out << now.at("name").as_string().c_str() << ": " << now.at("state").as_string().c_str() << '\n'; });
}

void resume(Session& s) {
  const json::value now = s.post(s.path() + ":resume", json::object());
  s.show(
      [&] { s.io.out << now.at("name").as_string().c_str() << ": " << now.at("state").as_string().c_str() << '\n'; });
}

json::value limit_of(Session& s, const std::string& option, const std::string& text) {
  if (text == "unlimited") return nullptr;
  std::string_view number = text;
  if (number.ends_with("/s")) number.remove_suffix(2);
  const auto count = parse_count(number);
  if (!count)
    s.fail(kExitUsage, fmt::format("--{} {}: a number (200000, 200k, 64MiB) or \"unlimited\" is needed", option, text));
  return *count;
}

void throttle(Session& s) {
  json::object change;
  if (const auto rate = s.line.get("max-rate")) change["records_per_s"] = limit_of(s, "max-rate", *rate);
  if (const auto bytes = s.line.get("max-bytes")) change["bytes_per_s"] = limit_of(s, "max-bytes", *bytes);
  if (change.empty()) {
    const json::value now = s.get(s.path() + "/throttle");
    s.show([&] { print_throttle(now, s.io.out); });
    return;
  }
  if (s.line.positional.size() == 2) change["source"] = s.line.positional[1];
  const json::value now = s.put(s.path() + "/throttle", change);
  s.show([&] { print_throttle(now, s.io.out); });
}

json::value target_of(const std::string& to) {
  if (to == "latest") return "latest";
  if (to.starts_with("keep-last=")) return json::object{{"keep_last", to.substr(10)}};
  if (!to.empty() && to.find_first_not_of("0123456789") == std::string::npos && to.size() < 18) {
    return json::object{{"timestamp", std::stoll(to)}};
  }
  return json::object{{"timestamp", to}};
}

void discard_lag(Session& s) {
  const bool dry = s.line.has("dry-run"), yes = s.line.has("yes");
  const std::string reason = s.line.get("reason").value_or("");
  if (!dry && reason.find_first_not_of(" \t") == std::string::npos) {
    s.fail(kExitUsage, "--reason is needed: it goes into the ledger (--dry-run shows the plan without one)");
  }
  if (!dry && !yes && !s.io.interactive)
    s.fail(kExitUsage, "without a terminal to ask on, --yes is needed (or --dry-run)");

  const std::string path = s.path() + "/lag-discards";
  json::object wanted{{"target", target_of(s.line.get("to").value_or("latest"))}};
  if (const auto source = s.line.get("source")) wanted["source"] = *source;
  const json::value plan = s.post(path + ":plan", wanted);
  if (dry) {
    s.show([&] { print_plan(plan, s.io.clock.wall_ms(), s.io.out); });
    return;
  }
  print_plan(plan, s.io.clock.wall_ms(), s.as_json() ? s.io.err : s.io.out);
  if (plan.at("records").to_number<std::int64_t>() == 0 && plan.at("pending_lanes").to_number<std::int64_t>() == 0) {
    s.show([&] { s.io.out << "nothing to discard\n"; });
    return;
  }
  if (!yes) {
    s.io.err << "Drop " << discard_amount(plan) << "? [y/N] " << std::flush;
    std::string answer;
    std::getline(s.io.in, answer);
    if (answer != "y" && answer != "Y" && answer != "yes") s.fail(kExitFailed, "nothing was dropped");
  }
  const json::value done = s.post(path, json::object{{"plan", plan.at("plan")}, {"reason", reason}});
  s.show([&] { print_discard(done, s.io.out); });
}

void discards(Session& s) {
  const json::value all = s.get(s.path() + "/lag-discards");
  s.show([&] { print_discards(all, s.io.out); });
}

struct Command {
  void (*run)(Session&);
  std::size_t max_positional;
  std::vector<std::string_view> flags, values;
};

// Same order as kCommands.
const std::vector<Command>& table() {
  static const std::vector<Command> commands{
      {status, 1, {}, {}},
      {lag, 1, {"partitions"}, {}},
      {discard_lag, 1, {"dry-run", "yes"}, {"source", "to", "reason"}},
      {discards, 1, {}, {}},
      {pause, 1, {}, {"reason"}},
      {resume, 1, {}, {}},
      {throttle, 2, {}, {"max-rate", "max-bytes"}},
  };
  return commands;
}

}  // namespace

std::span<const CommandInfo> operator_commands() { return kCommands; }

bool is_operator_command(std::string_view name) {
  return std::any_of(kCommands.begin(), kCommands.end(), [&](const CommandInfo& c) { return c.name == name; });
}

int run_operator_command(const std::vector<std::string>& args, const CommandIo& io) {
  const auto known = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const CommandInfo& c) { return !args.empty() && c.name == args[0]; });
  if (known == kCommands.end()) {
    io.err << "twinspan: no such command" << (args.empty() ? "" : ": " + args[0]) << '\n';
    return kExitUsage;
  }
  Command command = table()[static_cast<std::size_t>(known - kCommands.begin())];
  const auto usage = [&](const std::string& message) {
    io.err << "twinspan " << known->name << ": " << message << "\nusage: twinspan " << known->usage << '\n';
    return static_cast<int>(kExitUsage);
  };
  command.flags.insert(command.flags.end(), {"json", "help"});
  command.values.insert(command.values.end(), {"server", "timeout"});
  auto line = parse_command_line({args.begin() + 1, args.end()}, command.flags, command.values, command.max_positional);
  if (!line) return usage(line.error().message);
  if (line.value().has("help")) {
    io.out << "usage: twinspan " << known->usage << "\n  " << known->summary
           << "\n  all commands: [--server HOST:PORT] [--json] [--timeout 20s]\n";
    return kExitOk;
  }
  std::string server = line.value().get("server").value_or(kDefaultListen);
  if (server.starts_with("http://")) server.erase(0, 7);
  while (server.ends_with('/')) server.pop_back();
  if (server.starts_with(':')) server.insert(0, "127.0.0.1");
  const auto address = parse_listen_address(server);
  if (!address) return usage("--server " + address.error().message);
  const auto timeout = parse_duration(line.value().get("timeout").value_or("20s"));
  if (!timeout || *timeout < 1 || *timeout > 3'600'000) return usage("--timeout needs a duration, as in 20s");
  try {
    Session session(io, std::move(line.value()), Client(address.value(), static_cast<int>(*timeout)));
    command.run(session);
    return kExitOk;
  } catch (const Exit& exit) {
    return exit.code;
  } catch (const std::exception& e) {
    io.err << "twinspan: the server's answer is not what this version expects: " << e.what() << '\n';
    return kExitFailed;
  }
}

}  // namespace twinspan::admin
