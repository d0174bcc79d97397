#include "gateway/command_demo.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "admin/listen_address.h"
#include "admin/time_text.h"
#include "gateway/demo/demo.h"
#include "gateway/demo/demo_pipeline.h"
#include "gateway/demo/plain_text.h"
#include "gateway/demo/screen.h"
#include "gateway/demo/script.h"
#include "gateway/demo/terminal.h"

namespace twinspan::gateway {

namespace {

constexpr std::int64_t kPlainLengthMs = 60'000;
constexpr std::int64_t kShortestMs = 10'000;  // detection, return and fail-back need their time
constexpr std::int64_t kFrameMs = 250, kObserveMs = 100, kStatusMs = 1'000;
constexpr int kUsage = 2;

constexpr const char* kHelp = R"(usage: twinspan demo [--plain] [--for DURATION] [--print-pipeline]

Two embedded Kafka clusters (librdkafka's mock brokers), producers of ad impressions and clicks on both, and a pipeline that
joins them and counts exact unique devices per region and minute, written to whichever cluster takes it.

  --plain           lines instead of the live screen; also when the output is no terminal. 60 s unless --for says otherwise
  --for 30s         ends by itself with a summary; exit code 0 if everything worked, 1 if not. At least 10s
  --print-pipeline  prints the pipeline's YAML and ends; a start for your own

Without keys (--plain, --for) a script runs: east breaks at 25 %, is mended at 50 %, the sources are held back at 65 %, and
the lag is discarded at 80 % of the time.
)";

struct Arguments {
  bool plain = false, print_pipeline = false, help = false;
  std::int64_t length_ms = 0;  // 0: until it is asked to end
  std::string bad;
};

Arguments parse_arguments(const std::vector<std::string>& args) {
  Arguments out;
  for (std::size_t i = 1; i < args.size(); ++i) {
    if (args[i] == "--plain") {
      out.plain = true;
    } else if (args[i] == "--print-pipeline") {
      out.print_pipeline = true;
    } else if (args[i] == "-h" || args[i] == "--help") {
      out.help = true;
    } else if (args[i] == "--for" || args[i].starts_with("--for=")) {
      std::string text = args[i] == "--for" ? "" : args[i].substr(6);
      if (args[i] == "--for" && i + 1 < args.size()) text = args[++i];
      const auto length = admin::parse_duration(text);
      if (!length)
        out.bad = fmt::format("--for needs a duration such as 30s or 2m, not '{}'", text);
      else if (*length < kShortestMs)
        out.bad = "--for: at least 10s, or there is nothing to see";
      else
        out.length_ms = *length;
    } else {
      out.bad = fmt::format("unknown option '{}'", args[i]);
    }
  }
  return out;
}

std::string welcome(const Demo& demo) {
  const std::string server = demo.address() == admin::kDefaultListen ? "" : " --server " + demo.address();
  return fmt::format(
      "twinspan demo {}: two embedded mock clusters, producers on both, the pipeline ad-uv (--print-pipeline "
      "shows it)\n"
      "  east   {}   west {}\n"
      "         kcat -C -b {} -t {} -o beginning\n"
      "  api    http://{}\n"
      "         twinspan status{} | curl http://{}/v1/pipelines/ad-uv\n"
      "  limits mock brokers know no transactions, so delivery is at least once; they keep 5 MiB a partition "
      "and answer no "
      "time look-ups\n",
      kVersion, demo.bootstrap(Demo::kEast), demo.bootstrap(Demo::kWest), demo.bootstrap(Demo::kEast), kDemoResultTopic,
      demo.address(), server, demo.address());
}

// Where the demo shows itself. false from show(): nobody looks any more.
class Front {
 public:
  virtual ~Front() = default;
  virtual bool show(Demo& demo, const DemoView& view) = 0;
  virtual int input() const { return -1; }  // a descriptor with keys
  virtual std::optional<char> key() { return std::nullopt; }
  virtual void suspend() {}  // Ctrl-Z
  virtual void resume() {}
};

class LiveScreen final : public Front {
 public:
  bool show(Demo& demo, const DemoView& view) override {
    if (view.elapsed_ms - drawn_at_ < kFrameMs) return true;
    drawn_at_ = view.elapsed_ms;
    (void)demo;
    return terminal_.draw(render_screen(view, terminal_.size()));
  }
  int input() const override { return STDIN_FILENO; }
  std::optional<char> key() override {
    drawn_at_ = -kFrameMs;  // what a key does is seen at once
    return terminal_.key();
  }
  void suspend() override { terminal_.leave(); }
  void resume() override { terminal_.enter(); }

 private:
  Terminal terminal_;
  std::int64_t drawn_at_ = -kFrameMs;
};

class PlainLines final : public Front {
 public:
  bool show(Demo& demo, const DemoView& view) override {
    for (const DemoEvent& e : demo.events().take_new()) put(event_line(e));
    for (const std::string& line : results_.take_new(view)) put(line);
    if (said_at_ < 0 || view.elapsed_ms - said_at_ >= kStatusMs) {
      said_at_ = said_at_ < 0 ? view.elapsed_ms : said_at_ + kStatusMs;
      put(status_line(view));
    }
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  }

 private:
  static void put(const std::string& line) {
    std::fputs(line.c_str(), stdout);
    std::fputc('\n', stdout);
  }
  ResultLines results_;
  std::int64_t said_at_ = -1;
};

void play(Demo& demo, Script::Step step) {
  switch (step) {
    case Script::Step::break_east: return demo.set_broken(Demo::kEast, true);
    case Script::Step::mend_east: return demo.set_broken(Demo::kEast, false);
    case Script::Step::hold: return demo.set_held(true);
    case Script::Step::discard: return demo.discard();
    case Script::Step::release: return demo.set_held(false);
  }
}

// False: quit.
bool press(Demo& demo, char key) {
  switch (key) {
    case 'e': demo.set_broken(Demo::kEast, !demo.broken(Demo::kEast)); return true;
    case 'w': demo.set_broken(Demo::kWest, !demo.broken(Demo::kWest)); return true;
    case 'h': demo.set_held(!demo.held()); return true;
    case 'd': demo.discard(); return true;
    case 'p': demo.set_paused(!demo.paused()); return true;
    case 'q': return false;
    default: return true;
  }
}

enum class End { length, key, signal, output_gone, pipeline };

End watch(Demo& demo, Front& front, std::optional<Script> script, std::int64_t length_ms, int signals) {
  while (true) {
    if (script)
      while (const auto step = script->next(demo.elapsed_ms())) play(demo, *step);
    const DemoView view = demo.observe();
    if (!front.show(demo, view)) return End::output_gone;
    if (view.status.state == admin::PipelineState::failed) return End::pipeline;
    if (length_ms > 0 && view.elapsed_ms >= length_ms) return End::length;

    pollfd ready[2] = {{signals, POLLIN, 0}, {front.input(), POLLIN, 0}};
    ::poll(ready, 2, static_cast<int>(kObserveMs));
    if ((ready[0].revents & POLLIN) != 0) {
      signalfd_siginfo info{};
      if (::read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGTSTP) return End::signal;
        front.suspend();
        ::raise(SIGSTOP);
        front.resume();
      }
    }
    if (ready[1].revents != 0)
      while (const auto key = front.key())
        if (!press(demo, *key)) return End::key;
  }
}

}  // namespace

int command_demo(const std::vector<std::string>& args) {
  Arguments arguments = parse_arguments(args);
  if (!arguments.bad.empty()) {
    std::fprintf(stderr, "twinspan demo: %s\n\n%s", arguments.bad.c_str(), kHelp);
    return kUsage;
  }
  if (arguments.help) return std::fputs(kHelp, stdout), 0;
  if (arguments.print_pipeline) return std::fputs(demo_pipeline_yaml().c_str(), stdout), 0;
  const bool plain = arguments.plain || !Terminal::available();
  if (plain && arguments.length_ms == 0) arguments.length_ms = kPlainLengthMs;

  // Every thread inherits the mask: signals come to the loop below and to nobody else.
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&set, s);
  if (!plain) sigaddset(&set, SIGTSTP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

  const SystemClock clock;
  auto started = Demo::start(clock);
  if (!started) {
    std::fprintf(stderr, "twinspan demo: %s\n", started.error().message.c_str());
    return 1;
  }
  Demo& demo = *started.value();
  const std::string about = welcome(demo);
  std::optional<Script> script;
  if (arguments.length_ms > 0) script.emplace(arguments.length_ms);
  if (!script)
    demo.events().add(demo.elapsed_ms(), DemoEvent::Kind::note,
                      "press e: east breaks. Its records come from west then, and the results go there");

  std::fputs(about.c_str(), stdout);
  std::fflush(stdout);
  std::unique_ptr<Front> front;
  if (plain)
    front = std::make_unique<PlainLines>();
  else
    front = std::make_unique<LiveScreen>();
  const End end = watch(demo, *front, script, arguments.length_ms, signals);
  // A second Ctrl-C ends at once.
  front.reset();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::close(signals);

  SummaryRules rules;
  rules.scripted = script.has_value();
  rules.whole = end == End::length;
  rules.failure = demo.failure();
  const DemoView last = demo.observe();
  if (plain && end != End::output_gone)
    for (const DemoEvent& e : demo.events().take_new()) std::printf("%s\n", event_line(e).c_str());
  if (const auto stopped = demo.stop(); !stopped && rules.failure.empty())
    rules.failure = "stopping: " + stopped.error().message;
  const std::string why = verdict(last, rules);
  std::fputs(summary(last, why).c_str(), stdout);
  std::fflush(stdout);
  if (!why.empty()) std::fprintf(stderr, "the end of the pipeline's log:\n%s", demo.log_tail().c_str());
  return why.empty() ? 0 : 1;
}

}  // namespace twinspan::gateway
