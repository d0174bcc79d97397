#include "tests/bench/engine/expression_case.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "engine/expr/program.h"
#include "tests/bench/bench_events.h"
#include "tests/bench/engine/memory_feed.h"

namespace twinspan::bench {

namespace {

constexpr std::uint32_t kRows = 1024;
constexpr int kTurns = 2000, kRepeats = 9;

struct Input {
  const std::int64_t *a, *b;
  const double* c;
  const std::string_view *type, *page;
};

// What a hand-written loop does: kRows results of T into memory of its own. False: a value does not exist (overflow).
using Loop = std::function<bool(const Input&, Arena&, void*)>;

struct Pair {
  const char* text;
  DataType type;
  Loop by_hand;
};

template <class T, class F>
Loop loop(F f) {
  return [f](const Input& in, Arena&, void* out) {
    auto* to = static_cast<T*>(out);
    for (std::uint32_t i = 0; i < kRows; ++i) to[i] = f(in, i);
    return true;
  };
}

std::vector<Pair> pairs() {
  return {
      {"a % 1000 = 0", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.a[i] % 1000 == 0; })},
      {"a > 500000 AND b < 100", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.a[i] > 500'000 && in.b[i] < 100; })},
      {"a / 60000", types::int64,
       loop<std::int64_t>([](const Input& in, std::uint32_t i) { return in.a[i] / 60'000; })},
      {"a % 1024", types::int64, loop<std::int64_t>([](const Input& in, std::uint32_t i) { return in.a[i] % 1024; })},
      {"a BETWEEN 1000 AND 500000", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.a[i] >= 1000 && in.a[i] <= 500'000; })},
      {"a IN (1, 7, 500, 5000)", types::boolean, loop<std::uint8_t>([](const Input& in, std::uint32_t i) {
         return in.a[i] == 1 || in.a[i] == 7 || in.a[i] == 500 || in.a[i] == 5000;
       })},
      {"NOT a > 500000", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return !(in.a[i] > 500'000); })},
      {"c / 8.0e0 < 1000.0e0", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.c[i] / 8.0 < 1000.0; })},
      {"CAST(a AS float64)", types::float64,
       loop<double>([](const Input& in, std::uint32_t i) { return static_cast<double>(in.a[i]); })},
      {"abs(a - b)", types::int64,
       [](const Input& in, Arena&, void* out) {
         auto* to = static_cast<std::int64_t*>(out);
         bool fine = true;
         for (std::uint32_t i = 0; i < kRows; ++i) {
           std::int64_t d = 0;
           fine &= !__builtin_sub_overflow(in.a[i], in.b[i], &d);
           fine &= d != INT64_MIN;
           to[i] = d < 0 ? -d : d;
         }
         return fine;
       }},
      {"floor(c)", types::float64, loop<double>([](const Input& in, std::uint32_t i) { return std::floor(in.c[i]); })},
      {"a + b * 2", types::int64,
       [](const Input& in, Arena&, void* out) {
         auto* to = static_cast<std::int64_t*>(out);
         bool fine = true;
         for (std::uint32_t i = 0; i < kRows; ++i) {
           std::int64_t twice = 0;
           fine &= !__builtin_mul_overflow(in.b[i], std::int64_t{2}, &twice);
           fine &= !__builtin_add_overflow(in.a[i], twice, &to[i]);
         }
         return fine;
       }},
      {"c * 0.9e0 + 1.0e0", types::float64,
       loop<double>([](const Input& in, std::uint32_t i) { return in.c[i] * 0.9 + 1.0; })},
      {"CASE WHEN a > b THEN a ELSE b END", types::int64,
       loop<std::int64_t>([](const Input& in, std::uint32_t i) { return in.a[i] > in.b[i] ? in.a[i] : in.b[i]; })},
      {"CASE WHEN a < 1000 THEN 1 WHEN a < 500000 THEN 2 ELSE 3 END", types::int64,
       loop<std::int64_t>([](const Input& in, std::uint32_t i) {
         return in.a[i] < 1000 ? 1 : in.a[i] < 500'000 ? 2 : 3;
       })},
      {"CASE WHEN a > b THEN type ELSE page END", types::string,
       loop<std::string_view>(
           [](const Input& in, std::uint32_t i) { return in.a[i] > in.b[i] ? in.type[i] : in.page[i]; })},
      {"type = 'click'", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.type[i] == "click"; })},
      {"type IN ('click', 'play')", types::boolean, loop<std::uint8_t>([](const Input& in, std::uint32_t i) {
         return in.type[i] == "click" || in.type[i] == "play";
       })},
      {"starts_with(page, '/p/video/1')", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.page[i].starts_with("/p/video/1"); })},
      {"page LIKE '%video%'", types::boolean, loop<std::uint8_t>([](const Input& in, std::uint32_t i) {
         return memmem(in.page[i].data(), in.page[i].size(), "video", 5) != nullptr;
       })},
      {"type < 'm'", types::boolean,
       loop<std::uint8_t>([](const Input& in, std::uint32_t i) { return in.type[i] < "m"; })},
      {"substring(page, 1, 4)", types::string,  // of ASCII, which the kernel finds out
       loop<std::string_view>([](const Input& in, std::uint32_t i) { return in.page[i].substr(0, 4); })},
      {"upper(page)", types::string,
       [](const Input& in, Arena& arena, void* out) {
         auto* to = static_cast<std::string_view*>(out);
         for (std::uint32_t i = 0; i < kRows; ++i) {
           char* text = static_cast<char*>(arena.allocate(in.page[i].size(), 1));
           for (std::size_t k = 0; k < in.page[i].size(); ++k) {
             const char c = in.page[i][k];
             text[k] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
           }
           to[i] = {text, in.page[i].size()};
         }
         return true;
       }},
      {"type || ':' || page", types::string,
       [](const Input& in, Arena& arena, void* out) {
         auto* to = static_cast<std::string_view*>(out);
         for (std::uint32_t i = 0; i < kRows; ++i) {
           const std::size_t n = in.type[i].size() + 1 + in.page[i].size();
           char* text = static_cast<char*>(arena.allocate(n, 1));
           std::memcpy(text, in.type[i].data(), in.type[i].size());
           text[in.type[i].size()] = ':';
           std::memcpy(text + in.type[i].size() + 1, in.page[i].data(), in.page[i].size());
           to[i] = {text, n};
         }
         return true;
       }},
  };
}

bool same(DataType type, const void* x, const void* y) {
  if (type.is_string_like()) {
    const auto *a = static_cast<const std::string_view*>(x), *b = static_cast<const std::string_view*>(y);
    return std::equal(a, a + kRows, b);
  }
  return std::memcmp(x, y, kRows * value_width(type.kind)) == 0;
}

// The median of some repeats of kTurns calls, CPU nanoseconds a row.
double per_row(const std::function<void(Arena&)>& call) {
  std::vector<double> ns;
  for (int r = 0; r < kRepeats; ++r) {
    const std::int64_t begin = thread_cpu_ns();
    for (int t = 0; t < kTurns; ++t) {
      Arena arena(16 * 1024);  // as a step has one for every batch
      call(arena);
    }
    ns.push_back(static_cast<double>(thread_cpu_ns() - begin) / kTurns / kRows);
  }
  std::sort(ns.begin(), ns.end());
  return ns[ns.size() / 2];
}

}  // namespace

std::vector<ExpressionFigures> measure_expressions() {
  Arena memory;
  auto *a = memory.make<std::int64_t>(kRows), *b = memory.make<std::int64_t>(kRows);
  auto* c = memory.make<double>(kRows);
  auto *type = memory.make<std::string_view>(kRows), *page = memory.make<std::string_view>(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    const Event e = event_at(0, i);
    a[i] = static_cast<std::int64_t>(mix(i) % 1'000'000);
    b[i] = static_cast<std::int64_t>(mix(i + kRows) % 1'000'000);
    c[i] = static_cast<double>(a[i]) / 7;
    type[i] = e.type;
    page[i] = memory.copy(e.page());
  }
  const Input input{a, b, c, type, page};
  Batch batch;
  batch.rows = kRows;
  batch.columns = {
      {types::int64, a}, {types::int64, b}, {types::float64, c}, {types::string, type}, {types::string, page}};
  const Schema schema{{{"a", types::int64},
                       {"b", types::int64},
                       {"c", types::float64},
                       {"type", types::string},
                       {"page", types::string}}};
  std::vector<ExpressionFigures> out;
  for (const Pair& p : pairs()) {
    engine::ProgramBuilder builder{engine::Scope(schema)};
    const auto ast = engine::parse_expression(p.text);
    if (!ast.ok() || !builder.add(*ast.value()).ok() || !(builder.type(0) == p.type))
      throw std::runtime_error(std::string("does not compile: ") + p.text);
    engine::Program program = builder.build();
    engine::EvalErrors errors;
    ExpressionFigures f;
    f.text = p.text;
    Arena kept;
    const Column column = program.evaluate(batch, kept, errors).at(0);
    void* by_hand = kept.allocate(kRows * value_width(p.type.kind), 16);
    f.equal = p.by_hand(input, kept, by_hand) && errors.empty() && same(p.type, column.data, by_hand);
    volatile char sink = 0;
    f.ns = per_row([&](Arena& arena) {
      const auto columns = program.evaluate(batch, arena, errors);
      sink = *static_cast<const char*>(columns[0].data);
    });
    f.by_hand_ns = per_row([&](Arena& arena) {
      void* to = arena.allocate(kRows * value_width(p.type.kind), 16);
      if (!p.by_hand(input, arena, to)) throw std::runtime_error("overflow");
      sink = *static_cast<const char*>(to);
    });
    out.push_back(f);
  }
  return out;
}

}  // namespace twinspan::bench
