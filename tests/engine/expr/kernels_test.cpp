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
    const auto multiples = results(t, "n % " + literal + " = 0"), others = results(t, "0 <> n % " + literal);
    ASSERT_EQ(remainders.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Int n = values[i];
      const bool bad = n && (d == 0 || (d == -1 && *n == kLeast));
      const std::string q = bad ? "error" : n ? std::to_string(*n / d) : "NULL";
      const std::string r = d == 0 && n ? "error" : !n ? "NULL" : d == -1 ? "0" : std::to_string(*n % d);
      ASSERT_EQ(quotients[i], q) << shown(n) << " / " << d;
      ASSERT_EQ(remainders[i], r) << shown(n) << " % " << d;
      ASSERT_EQ(multiples[i], n ? (r == "0" ? "true" : "false") : "NULL") << shown(n) << " % " << d << " = 0";
      ASSERT_EQ(others[i], n ? (r == "0" ? "false" : "true") : "NULL") << "0 <> " << shown(n) << " % " << d;
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

TEST(Conditions, RangesListsNegationsAndTheirCombinations) {
  using Truth = Opt<bool>;
  const auto text = [](Truth v) { return !v ? "NULL" : *v ? "true" : "false"; };
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const auto a = random_ints(random, 150), b = random_ints(random, 150);
    std::vector<Int> dense;
    for (const Int v : a) dense.push_back(v.value_or(4));
    Table t;
    t.ints("a", a).ints("b", b).ints("d", dense);
    const std::int64_t x = static_cast<std::int64_t>(random() % 41) - 20,
                       y = static_cast<std::int64_t>(random() % 41) - 20;
    const auto expect = [&](const std::string& expression, auto truth) {
      const auto got = results(t, expression);
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(got[i], text(truth(a[i], b[i], *dense[i])))
            << expression << " of " << shown(a[i]) << ", " << shown(b[i]) << ", seed " << seed;
    };
    const auto strictly = [](Int v, auto f) { return v ? Truth(f(*v)) : std::nullopt; };
    const auto both = [](Truth p, Truth q) {
      return (p && !*p) || (q && !*q) ? Truth(false) : p && q ? Truth(true) : std::nullopt;
    };
    const auto either = [](Truth p, Truth q) {
      return (p && *p) || (q && *q) ? Truth(true) : p && q ? Truth(false) : std::nullopt;
    };
    const auto within = [&](std::int64_t v) { return v >= x && v <= y; };
    expect(fmt::format("a BETWEEN ({}) AND ({})", x, y), [&](Int v, Int, std::int64_t) { return strictly(v, within); });
    expect(fmt::format("a NOT BETWEEN ({}) AND ({})", x, y),
           [&](Int v, Int, std::int64_t) { return strictly(v, [&](auto n) { return !within(n); }); });
    expect("a BETWEEN -9223372036854775807 AND 9223372036854775807",
           [&](Int v, Int, std::int64_t) { return strictly(v, [](auto n) { return n != kLeast; }); });
    expect(fmt::format("NOT a > ({})", x),
           [&](Int v, Int, std::int64_t) { return strictly(v, [&](auto n) { return n <= x; }); });
    expect("NOT a = b", [&](Int v, Int w, std::int64_t) { return v && w ? Truth(*v != *w) : std::nullopt; });
    expect("NOT (a > b OR d < 0)", [&](Int v, Int w, std::int64_t d) {
      const Truth any = either(v && w ? Truth(*v > *w) : std::nullopt, Truth(d < 0));
      return any ? Truth(!*any) : any;
    });
    expect("d > 0 AND d < 9 AND d <> 4", [&](Int, Int, std::int64_t d) { return Truth(d > 0 && d < 9 && d != 4); });
    expect("d < -5 OR d > 5 OR d = 0", [&](Int, Int, std::int64_t d) { return Truth(d < -5 || d > 5 || d == 0); });
    expect("a > 0 AND b > 0", [&](Int v, Int w, std::int64_t) {
      const auto positive = [](std::int64_t n) { return n > 0; };
      return both(strictly(v, positive), strictly(w, positive));
    });
    for (std::size_t n = 1; n <= 10; ++n) {
      std::vector<std::int64_t> list;
      std::string literals;
      for (std::size_t k = 0; k < n; ++k) {
        list.push_back(static_cast<std::int64_t>(random() % 41) - 20);
        literals += fmt::format("{}({})", k == 0 ? "" : ", ", list.back());
      }
      const auto found = [&](std::int64_t v) { return std::find(list.begin(), list.end(), v) != list.end(); };
      expect("a IN (" + literals + ")", [&](Int v, Int, std::int64_t) { return strictly(v, found); });
      expect("a NOT IN (" + literals + ")",
             [&](Int v, Int, std::int64_t) { return strictly(v, [&](auto m) { return !found(m); }); });
    }
  }
}

TEST(Conditions, NotANumberIsNeitherLessNorNot) {
  Table t;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  t.floats("f", {1.0, nan, std::nullopt});
  using Texts = std::vector<std::string>;
  EXPECT_EQ(results(t, "f < 2e0"), (Texts{"true", "false", "NULL"}));
  EXPECT_EQ(results(t, "NOT f < 2e0"), (Texts{"false", "true", "NULL"}));
}

TEST(Case, ConstantsOfSeveralArms) {
  std::vector<Int> values;
  for (std::int64_t i = -30; i < 30; ++i) values.push_back(i);
  Table t;
  t.ints("d", values);
  const auto two = results(t, "CASE WHEN d < -10 THEN 1 WHEN d < 10 THEN 2 ELSE 3 END");
  const auto three =
      results(t, "CASE WHEN d < -10 THEN 1.5e0 WHEN d < 0 THEN 2.5e0 WHEN d < 10 THEN 3.5e0 ELSE 4.5e0 END");
  const auto open = results(t, "CASE WHEN d < -10 THEN 1 WHEN d < 10 THEN 2 END");
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t d = *values[i];
    EXPECT_EQ(two[i], d < -10 ? "1" : d < 10 ? "2" : "3");
    EXPECT_EQ(three[i], d < -10 ? "1.5" : d < 0 ? "2.5" : d < 10 ? "3.5" : "4.5");
    EXPECT_EQ(open[i], d < -10 ? "1" : d < 10 ? "2" : "NULL");
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

TEST(ShortTexts, OrderIsThatOfBytes) {
  std::mt19937_64 random(17);
  const auto any_text = [&] {
    std::string s(random() % 12, 'x');
    for (char& c : s) c = "ab\x01\x7F\xC3\xA9"[random() % 6];
    return s;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<Opt<std::string>> s;
    const std::string constant = std::string(random() % 11, 'a') + (random() % 2 == 0 ? "b" : "");
    for (int i = 0; i < 60; ++i) s.push_back(i % 9 == 0 ? std::nullopt : Opt<std::string>(any_text()));
    s.push_back(constant);
    s.push_back(constant + "a");
    s.push_back(constant.substr(0, constant.size() / 2));
    s.push_back(constant + std::string(1, '\0'));
    Table t;
    t.strings("s", s);
    for (const char* op : {"<", "<=", ">", ">="}) {
      const auto got = results(t, fmt::format("s {} '{}'", op, constant));
      for (std::size_t i = 0; i < s.size(); ++i) {
        if (!s[i]) continue;
        const int order = s[i]->compare(constant);
        const bool want =
            op[0] == '<' ? order < 0 || (op[1] == '=' && order == 0) : order > 0 || (op[1] == '=' && order == 0);
        ASSERT_EQ(got[i], want ? "true" : "false") << *s[i] << " " << op << " " << constant;
      }
    }
  }
}

TEST(ShortTexts, SubstringsCountCodePoints) {
  std::mt19937_64 random(23);
  const std::string letters[] = {"a", "b", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x99\x82"};
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<std::string>> points;
    std::vector<Opt<std::string>> s;
    for (int i = 0; i < 40; ++i) {
      auto& p = points.emplace_back();
      std::string whole;
      for (std::size_t n = random() % 14; n > 0; --n)
        p.push_back(letters[random() % (i % 2 == 0 ? 2 : 5)]), whole += p.back();
      s.push_back(whole);
    }
    Table t;
    t.strings("s", s);
    const std::size_t from = 1 + random() % 12, n = random() % 10;
    const auto got = results(t, fmt::format("substring(s, {}, {})", from, n));
    for (std::size_t i = 0; i < s.size(); ++i) {
      std::string want;
      for (std::size_t k = from - 1; k < points[i].size() && k < from - 1 + n; ++k) want += points[i][k];
      ASSERT_EQ(got[i], want) << *s[i] << " from " << from << ", " << n;
    }
  }
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
