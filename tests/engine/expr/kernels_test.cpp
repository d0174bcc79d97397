// Kernels that have several loops for one thing: constant divisors, blended CASE, short texts. Random values against
// plain C++, so that which loop ran cannot be seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

using Int = Opt<std::int64_t>;
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min(),
                       kGreatest = std::numeric_limits<std::int64_t>::max();

// Every row as text, all errors as one.
std::vector<std::string> results(const Table& t, const std::string& text) {
  std::vector<std::string> out = evaluate(t, text);
  for (std::string& row : out)
    if (row.starts_with('!')) row = "error";
  return out;
}

std::string shown(Int v) { return v ? std::to_string(*v) : "NULL"; }

std::vector<Int> random_ints(std::mt19937_64& random, std::size_t n) {
  std::vector<Int> out;
  for (std::size_t i = 0; i < n; ++i) {
    switch (random() % 6) {
      case 0: out.push_back(std::nullopt); break;
      case 1: out.push_back(static_cast<std::int64_t>(random())); break;
      case 2:
        out.push_back(std::vector<std::int64_t>{kLeast, kLeast + 1, -1, 0, 1, kGreatest, kGreatest - 1}[random() % 7]);
        break;
      default: out.push_back(static_cast<std::int64_t>(random() % 41) - 20);
    }
  }
  return out;
}

TEST(ConstantDivisor, EqualsDivisionForEveryDivisor) {
  std::mt19937_64 random(11);
  std::vector<std::int64_t> divisors = {1, -1, kLeast, kLeast + 1, kGreatest, kGreatest - 1};
  for (std::int64_t d = 2; d <= 130; ++d) divisors.insert(divisors.end(), {d, -d});
  for (int k = 1; k < 63; ++k)
    for (const std::int64_t by : {-1, 0, 1})
      divisors.insert(divisors.end(), {(std::int64_t{1} << k) + by, -(std::int64_t{1} << k) + by});
  for (int i = 0; i < 200; ++i) divisors.push_back(static_cast<std::int64_t>(random()) >> (random() % 60));
  for (const std::int64_t d : divisors) {
    std::vector<Int> values = random_ints(random, 40);
    for (const std::int64_t near : {-3, -2, -1, 0, 1, 2, 3}) {  // around multiples
      std::int64_t x = 0;
      if (!__builtin_mul_overflow(d, near, &x))
        values.insert(values.end(), {x, x == kLeast ? x : x - 1, x == kGreatest ? x : x + 1});
    }
    Table t;
    t.ints("n", values);
    const std::string literal = d == kLeast ? "(-9223372036854775807 - 1)" : fmt::format("({})", d);
    const auto remainders = results(t, "n % " + literal), quotients = results(t, "n / " + literal);
    ASSERT_EQ(remainders.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Int n = values[i];
      const bool bad = n && (d == 0 || (d == -1 && *n == kLeast));
      const std::string q = bad ? "error" : n ? std::to_string(*n / d) : "NULL";
      const std::string r = d == 0 && n ? "error" : !n ? "NULL" : d == -1 ? "0" : std::to_string(*n % d);
      ASSERT_EQ(quotients[i], q) << shown(n) << " / " << d;
      ASSERT_EQ(remainders[i], r) << shown(n) << " % " << d;
    }
  }
}

struct Outcome {
  bool error = false;
  Int value;
  std::string text() const { return error ? "error" : shown(value); }
};
Outcome quotient(Int x, Int y) {
  if (!x || !y) return {};
  if (*y == 0 || (*y == -1 && *x == kLeast)) return {true, {}};
  return {false, *x / *y};
}
Outcome greater(Outcome x, Int y) {
  if (x.error) return x;
  if (!x.value || !y) return {};
  return {false, *x.value > *y ? 1 : 0};
}
bool is_true(const Outcome& o) { return !o.error && o.value && *o.value != 0; }

// Cheap branches are blended, dear ones run for the rows that need them; an error counts where it is reached.
TEST(Case, BranchesConditionsNullsAndErrors) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const auto a = random_ints(random, 200), b = random_ints(random, 200), c = random_ints(random, 200);
    Table t;
    t.ints("a", a).ints("b", b).ints("c", c);
    const auto expect = [&](const std::string& text, auto outcome) {
      const auto got = results(t, text);
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(got[i], outcome(a[i], b[i], c[i]).text())
            << text << " of " << shown(a[i]) << ", " << shown(b[i]) << ", " << shown(c[i]) << ", seed " << seed;
    };
    const auto error_first = [](const Outcome& condition, auto then, auto otherwise) {
      return condition.error ? condition : is_true(condition) ? then() : otherwise();
    };
    expect("CASE WHEN a > b THEN a ELSE b END", [&](Int x, Int y, Int) {
      return is_true(greater({false, x}, y)) ? Outcome{false, x} : Outcome{false, y};
    });
    expect("CASE WHEN a / b > c THEN a WHEN b / a > c THEN b END", [&](Int x, Int y, Int z) {
      return error_first(
          greater(quotient(x, y), z),
          [&] {
            return Outcome{false, x};
          },
          [&] {
            return error_first(
                greater(quotient(y, x), z),
                [&] {
                  return Outcome{false, y};
                },
                [] { return Outcome{}; });
          });
    });
    expect("CASE WHEN a IS NULL THEN 7 WHEN c > 3 THEN a / b ELSE b / c END", [&](Int x, Int y, Int z) {
      if (!x) return Outcome{false, 7};
      return is_true(greater({false, z}, 3)) ? quotient(x, y) : quotient(y, z);
    });
    expect("CASE WHEN c > 3 THEN char_length(repeat('x', abs(c % 5))) + a / b ELSE c END", [&](Int x, Int y, Int z) {
      if (!is_true(greater({false, z}, 3))) return Outcome{false, z};
      Outcome q = quotient(x, y);
      if (q.value && __builtin_add_overflow(*q.value, *z % 5, &*q.value)) return Outcome{true, {}};
      return q;
    });
    expect("CASE a WHEN b THEN 1 WHEN c THEN 2 ELSE NULL END", [&](Int x, Int y, Int z) {
      if (x && y && *x == *y) return Outcome{false, 1};
      return x && z && *x == *z ? Outcome{false, 2} : Outcome{};
    });
  }
}

TEST(Case, TextsDecimalsBooleansAndConstants) {
  Table t;
  t.ints("n", {1, 2, 3, std::nullopt});
  t.strings("s", {"one", "", std::nullopt, "four"});
  t.decimals("d", 10, 2, {"1.5", "2.5", "3.5", "4.5"});
  t.bools("b", {1, 0, std::nullopt, 1});
  using Texts = std::vector<std::string>;
  EXPECT_EQ(results(t, "CASE WHEN n > 1 THEN s ELSE 'none' END"), (Texts{"none", "", "NULL", "none"}));
  EXPECT_EQ(results(t, "CASE WHEN n > 1 THEN 'many' WHEN n = 1 THEN 'one' END"),
            (Texts{"one", "many", "many", "NULL"}));
  EXPECT_EQ(results(t, "CASE WHEN b THEN d ELSE 0.25 END"), (Texts{"1.50", "0.25", "0.25", "4.50"}));
  EXPECT_EQ(results(t, "CASE WHEN n > 1 THEN b ELSE NOT b END"), (Texts{"false", "false", "NULL", "false"}));
  EXPECT_EQ(results(t, "CASE WHEN b THEN NULL ELSE d END"), (Texts{"NULL", "2.50", "3.50", "NULL"}));
}

std::string random_text(std::mt19937_64& random, std::size_t most) {
  std::string s(random() % (most + 1), 'a');
  for (char& c : s) c = static_cast<char>('a' + random() % 2);
  return s;
}

TEST(ShortTexts, InListsPrefixesAndJoinsOfAllLengths) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 120; ++round) {
    const std::size_t most = std::vector<std::size_t>{2, 4, 9, 17, 40}[static_cast<std::size_t>(round) % 5];
    std::vector<Opt<std::string>> s, p;
    for (int i = 0; i < 100; ++i) {
      s.push_back(random() % 8 == 0 ? std::nullopt : Opt<std::string>(random_text(random, most)));
      p.push_back(random() % 8 == 0 ? std::nullopt : Opt<std::string>(random_text(random, most)));
    }
    Table t;
    t.strings("s", s).strings("p", p);
    std::vector<std::string> list;
    std::string literals;
    for (std::size_t k = 0; k < 1 + random() % 10; ++k) {
      list.push_back(k < 3 && s[k] ? *s[k] : random_text(random, most));
      literals += fmt::format("{}'{}'", k == 0 ? "" : ", ", list.back());
    }
    const std::string prefix = random_text(random, std::min<std::size_t>(most, 19));
    const auto in = results(t, "s IN (" + literals + ")"), with_null = results(t, "s IN (NULL, " + literals + ")");
    const auto begins = results(t, "starts_with(s, '" + prefix + "')"), like = results(t, "s LIKE '" + prefix + "%'");
    const auto joined = results(t, "s || '-' || p || '" + prefix + "'");
    for (std::size_t i = 0; i < s.size(); ++i) {
      const bool found = s[i] && std::find(list.begin(), list.end(), *s[i]) != list.end();
      ASSERT_EQ(in[i], !s[i] ? "NULL" : found ? "true" : "false") << literals << " " << s[i].value_or("NULL");
      ASSERT_EQ(with_null[i], found ? "true" : "NULL") << literals << " " << s[i].value_or("NULL");
      ASSERT_EQ(begins[i], !s[i]                       ? "NULL"
                           : s[i]->starts_with(prefix) ? "true"
                                                       : "false")
          << prefix << " " << s[i].value_or("");
      ASSERT_EQ(like[i], begins[i]) << prefix << " " << s[i].value_or("");
      ASSERT_EQ(joined[i], s[i] && p[i] ? *s[i] + "-" + *p[i] + prefix : "NULL");
    }
  }
}

}  // namespace
}  // namespace twinspan::testing
