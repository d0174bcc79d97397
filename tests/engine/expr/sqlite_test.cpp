// Random expressions over random rows, compared with SQLite for what both define alike. Where SQLite gives NULL or
// turns to floating point (division by zero, overflow) ours is an error of the row; those rows must be NULL here as
// well, or are left out (overflow). A second run with every column replaced by the row's literal checks constant
// folding.
#include <cmath>
#include <random>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/engine/expr/table.h"

namespace twinspan::testing {
namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }
  template <std::size_t N>
  std::string one_of(const char* const (&options)[N]) {
    return options[below(N)];
  }

  std::string integer(int depth) {
    if (depth <= 0) return below(3) == 0 ? std::to_string(static_cast<int>(below(21)) - 10) : one_of({"i", "j", "k"});
    switch (below(17)) {
      case 14: return "instr(" + text(depth - 1) + ", " + text(0) + ")";
      case 15: return "sign(" + integer(depth - 1) + ")";
      case 16: return "json_length('[' || CAST(" + integer(depth - 1) + " AS string) || ',2]')";
      case 0: return "NULL + " + integer(depth - 1);
      case 1: return "(" + integer(depth - 1) + " / " + integer(depth - 1) + ")";
      case 2: return "(" + integer(depth - 1) + " % " + integer(depth - 1) + ")";
      case 3: return "(- " + integer(depth - 1) + ")";
      case 4: return "length(" + text(depth - 1) + ")";
      case 5: return "coalesce(" + integer(depth - 1) + ", " + integer(depth - 1) + ")";
      case 6: return "nullif(" + integer(depth - 1) + ", " + integer(depth - 1) + ")";
      case 7:
        return "CASE WHEN " + boolean(depth - 1) + " THEN " + integer(depth - 1) + " WHEN " + boolean(depth - 1) +
               " THEN " + integer(depth - 1) + " ELSE " + integer(depth - 1) + " END";
      case 8:
        return "CASE " + integer(depth - 1) + " WHEN " + integer(depth - 1) + " THEN " + integer(depth - 1) + " END";
      case 9: return "abs(" + integer(depth - 1) + ")";
      default: return "(" + integer(depth - 1) + " " + one_of({"+", "-", "*"}) + " " + integer(depth - 1) + ")";
    }
  }
  std::string real(int depth) {
    if (depth <= 0) return below(3) == 0 ? one_of({"0.5e0", "-2.25e0", "3e0", "1e2"}) : one_of({"x", "y"});
    switch (below(11)) {
      case 6: return one_of({"sin(", "cos(", "atan(", "tanh(", "degrees(", "radians("}) + real(depth - 1) + ")";
      case 7: return "sqrt(abs(" + real(depth - 1) + "))";
      case 8: return "atan2(" + real(depth - 1) + ", abs(" + real(depth - 1) + ") + 1e0)";  // the sign of 0 differs
      case 9: return one_of({"floor(", "ceil("}) + real(depth - 1) + ")";
      case 10: return "iif(" + boolean(depth - 1) + ", " + real(depth - 1) + ", " + real(depth - 1) + ")";
      case 0: return "(" + real(depth - 1) + " / " + real(depth - 1) + ")";
      case 1: return "(" + integer(depth - 1) + " + " + real(depth - 1) + ")";
      case 2:
        return "CASE WHEN " + boolean(depth - 1) + " THEN " + real(depth - 1) + " ELSE " + real(depth - 1) + " END";
      case 3: return "abs(" + real(depth - 1) + ")";
      default: return "(" + real(depth - 1) + " " + one_of({"+", "-", "*"}) + " " + real(depth - 1) + ")";
    }
  }
  std::string text(int depth) {
    if (depth <= 0)
      return below(3) == 0 ? one_of({"'a'", "'ab'", "''", "'click'", "'a long constant of more than sixteen'", "'B'"})
                           : one_of({"s", "t"});
    switch (below(14)) {
      case 9: return "hex(coalesce(" + text(depth - 1) + ", ''))";  // SQLite makes '' of NULL
      case 10: return "nullif(" + text(depth - 1) + ", " + text(depth - 1) + ")";
      case 11: return one_of({"ltrim(", "rtrim("}) + text(depth - 1) + ", " + one_of({"'a'", "' '", "'ki'"}) + ")";
      case 12:
        return "('' || json_value('{\"a\":\"' || " + text(depth - 1) + " || '\",\"n\":[' || CAST(" +
               integer(depth - 1) + " AS string) || ',{\"b\":2}]}', " +
               one_of({"'$.a'", "'$.n[0]'", "'$.n[1].b'", "'$.n[2]'", "'$.b'"}) + "))";
      case 13: return "iif(" + boolean(depth - 1) + ", " + text(depth - 1) + ", " + text(depth - 1) + ")";
      case 0: return "upper(" + text(depth - 1) + ")";
      case 1: return "lower(" + text(depth - 1) + ")";
      case 2: return "trim(" + text(depth - 1) + ")";
      case 3:
        return "substr(" + text(depth - 1) + ", " + std::to_string(1 + below(4)) + ", " + std::to_string(below(5)) +
               ")";
      case 4: return "replace(" + text(depth - 1) + ", " + one_of({"'a'", "'ab'", "'i'"}) + ", " + text(0) + ")";
      case 5:
        return "CASE WHEN " + boolean(depth - 1) + " THEN " + text(depth - 1) + " ELSE " + text(depth - 1) + " END";
      case 6: return "coalesce(" + text(depth - 1) + ", " + text(depth - 1) + ")";
      default: return "(" + text(depth - 1) + " || " + text(depth - 1) + ")";
    }
  }
  std::string boolean(int depth) {
    if (depth <= 0) return "(" + integer(0) + " " + comparison() + " " + integer(0) + ")";
    switch (below(14)) {
      case 13:
        return "is_json(" + one_of({"'[' || ", "'{\"a\":' || ", "'' || "}) + "coalesce(" + text(depth - 1) +
               ", '') || ']')";
      case 0: return "(" + boolean(depth - 1) + " AND " + boolean(depth - 1) + ")";
      case 1: return "(" + boolean(depth - 1) + " OR " + boolean(depth - 1) + " OR " + boolean(depth - 1) + ")";
      case 2: return "(NOT " + boolean(depth - 1) + ")";
      case 3: return "(" + integer(depth - 1) + " " + comparison() + " " + integer(depth - 1) + ")";
      case 4: return "(" + real(depth - 1) + " " + comparison() + " " + real(depth - 1) + ")";
      case 5:
      case 6: return "(" + text(depth - 1) + " " + comparison() + " " + text(depth - 1) + ")";
      case 7:
        return "(" + integer(depth - 1) + negated() + " BETWEEN " + integer(depth - 1) + " AND " + integer(depth - 1) +
               ")";
      case 8:
        return "(" + integer(depth - 1) + negated() + " IN (1, 2, " + integer(depth - 1) + ", " +
               one_of({"NULL", "5", "-3"}) + "))";
      case 9: return "(" + text(depth - 1) + negated() + " IN ('a', 'click', 'ab', '', 'view', " + text(0) + "))";
      case 10:
        return "(" + text(depth - 1) + negated() + " LIKE " +
               one_of({"'a%'", "'%b'", "'%a%'", "'_'", "'a_%'", "'%'", "''", "'cl%k'", "'%i_k%'"}) + ")";
      case 11: return "(" + any(depth - 1) + " IS " + one_of({"NULL", "NOT NULL"}) + ")";
      default:
        return "(" + integer(depth - 1) + " IS " + one_of({"DISTINCT FROM ", "NOT DISTINCT FROM "}) +
               integer(depth - 1) + ")";
    }
  }
  std::string any(int depth) {
    const std::size_t kind = below(4);
    return kind == 0 ? integer(depth) : kind == 1 ? real(depth) : kind == 2 ? text(depth) : boolean(depth);
  }

 private:
  std::string comparison() { return one_of({"=", "<>", "<", "<=", ">", ">="}); }
  std::string negated() { return below(3) == 0 ? " NOT" : ""; }
  std::mt19937_64 random_;
};

struct Row {
  Opt<std::int64_t> i, j, k;
  Opt<double> x, y;
  Opt<std::string> s, t;
};

// What SQLite calls the same function.
std::string for_sqlite(std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"is_json(", "json_valid("}, {"json_value(", "json_extract("}, {"json_length(", "json_array_length("}};
  for (const auto& [ours, theirs] : kNames)
    for (std::size_t at = 0; (at = text.find(ours, at)) != std::string::npos; at += theirs.size())
      text.replace(at, ours.size(), theirs);
  return text;
}

class Sqlite {
 public:
  Sqlite() {
    EXPECT_EQ(sqlite3_open(":memory:", &db_), SQLITE_OK);
    run("PRAGMA case_sensitive_like = ON");
    run("CREATE TABLE r(n INTEGER PRIMARY KEY, i INTEGER, j INTEGER, k INTEGER, x REAL, y REAL, s TEXT, t TEXT)");
  }
  ~Sqlite() { sqlite3_close(db_); }

  void run(const std::string& sql) {
    char* message = nullptr;
    ASSERT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << sql << ": " << message;
  }
  // Rows of the expression as text, or nullopt where SQLite went to floating point for an integer (overflow).
  std::vector<std::string> rows(const std::string& expression, DataType type, std::string& problem) {
    std::vector<std::string> out;
    sqlite3_stmt* q = nullptr;
    if (sqlite3_prepare_v2(db_, ("SELECT " + expression + " FROM r ORDER BY n").c_str(), -1, &q, nullptr) !=
        SQLITE_OK) {
      problem = sqlite3_errmsg(db_);
      return out;
    }
    int rc = 0;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) out.push_back(show(q, type));
    if (rc != SQLITE_DONE) problem = sqlite3_errmsg(db_);
    sqlite3_finalize(q);
    return out;
  }

 private:
  static std::string show(sqlite3_stmt* q, DataType type) {
    switch (sqlite3_column_type(q, 0)) {
      case SQLITE_NULL: return "NULL";
      case SQLITE_INTEGER:
        if (type.kind == TypeKind::boolean) return sqlite3_column_int64(q, 0) != 0 ? "true" : "false";
        if (type.kind != TypeKind::float64) return std::to_string(sqlite3_column_int64(q, 0));
        [[fallthrough]];
      case SQLITE_FLOAT: {
        char text[64];
        std::snprintf(text, sizeof text, "%.10g", sqlite3_column_double(q, 0));
        if (std::string_view(text) == "-0") return "0";
        return text;
      }
      default: return reinterpret_cast<const char*>(sqlite3_column_text(q, 0));
    }
  }
  sqlite3* db_ = nullptr;
};

std::string literal(const Row& row, char column) {
  const auto quote = [](const std::string& s) {
    std::string out = "'";
    for (char c : s) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
  };
  const auto integer = [](Opt<std::int64_t> v) {
    return v ? (*v < 0 ? "(" + std::to_string(*v) + ")" : std::to_string(*v)) : std::string("CAST(NULL AS int64)");
  };
  const auto real = [](Opt<double> v) {
    char text[64];
    if (v) std::snprintf(text, sizeof text, "(%.17ge0)", *v);
    return v ? std::string(text) : std::string("CAST(NULL AS float64)");
  };
  switch (column) {
    case 'i': return integer(row.i);
    case 'j': return integer(row.j);
    case 'k': return integer(row.k);
    case 'x': return real(row.x);
    case 'y': return real(row.y);
    case 's': return row.s ? quote(*row.s) : "CAST(NULL AS string)";
    default: return row.t ? quote(*row.t) : "CAST(NULL AS string)";
  }
}

// Single letters outside strings are columns; no keyword or function of the generator has one letter.
std::string with_literals(const std::string& text, const Row& row) {
  std::string out;
  bool quoted = false;
  const auto part = [&](std::size_t k) {
    return k < text.size() && (std::isalnum(static_cast<unsigned char>(text[k])) || text[k] == '_');
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\'') quoted = !quoted;
    const bool alone =
        !quoted && std::isalpha(static_cast<unsigned char>(text[at])) && !part(at + 1) && (at == 0 || !part(at - 1));
    out += alone ? literal(row, text[at]) : std::string(1, text[at]);
  }
  return out;
}

TEST(SqliteDifferential, RandomExpressionsAgree) {
  const std::uint64_t seed = 20260101;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Generator g(seed);
  const char* const texts[] = {
      "", "a", "ab", "B", "click", "clicks", "view", " a ", "a long constant of more than sixteen", "it's"};
  std::vector<Row> rows(67);
  const auto maybe = [&](auto v) { return g.below(5) == 0 ? Opt<decltype(v)>() : Opt<decltype(v)>(v); };
  const auto number = [&] { return static_cast<std::int64_t>(g.below(13)) - 6; };
  for (Row& r : rows)
    r = {maybe(number()),
         maybe(number()),
         std::int64_t{number()},
         maybe(static_cast<double>(number()) / 4),
         maybe(static_cast<double>(number()) * 1.5),
         maybe(std::string(texts[g.below(10)])),
         std::string(texts[g.below(10)])};
  Sqlite db;
  Table table;
  std::vector<Opt<std::int64_t>> i, j, k;
  std::vector<Opt<double>> x, y;
  std::vector<Opt<std::string>> s, t;
  for (const Row& r : rows) {
    i.push_back(r.i), j.push_back(r.j), k.push_back(r.k), x.push_back(r.x), y.push_back(r.y), s.push_back(r.s),
        t.push_back(r.t);
    std::string sql = "INSERT INTO r VALUES(NULL";
    for (char c : {'i', 'j', 'k', 'x', 'y', 's', 't'}) {
      std::string v = literal(r, c);
      sql += ", " + (v.starts_with("CAST") ? "NULL" : v.ends_with("e0)") ? v.substr(0, v.size() - 3) + ")" : v);
    }
    db.run(sql + ")");
  }
  table.ints("i", i).ints("j", j).ints("k", k).floats("x", x).floats("y", y).strings("s", s).strings("t", t);

  int compared = 0, folded = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string text = g.any(1 + static_cast<int>(g.below(4)));
    const auto ast = engine::parse_expression(text);
    ASSERT_TRUE(ast.ok()) << text << ": " << ast.errors()[0].message;
    const auto type = engine::type_of(**ast, table.scope());
    ASSERT_TRUE(type.ok()) << text << ": " << type.errors()[0].message;
    std::string problem;
    const auto want = db.rows(for_sqlite(text), *type, problem);
    if (problem == "integer overflow") continue;
    ASSERT_EQ(problem, "") << text;
    const auto got = evaluate(table, text);
    ASSERT_EQ(got.size(), want.size()) << text;
    for (std::size_t row = 0; row < got.size(); ++row) {
      // A failed row is NULL by definition; SQLite goes on computing with its NULL (or with a floating number on
      // overflow).
      if (got[row].starts_with("!")) {
        ASSERT_NE(text.find_first_of("/%*+-"), std::string::npos) << text << ": " << got[row];
        ASSERT_TRUE(got[row] == "!division by zero" || got[row] == "!int64 overflow") << text << ": " << got[row];
        continue;
      }
      ASSERT_EQ(got[row], want[row]) << text << " in row " << row << ", seed " << seed;
      ++compared;
    }
    if (round % 4 == 0) {
      const std::size_t row = g.below(rows.size());
      const std::string constant = with_literals(text, rows[row]);
      ASSERT_EQ(value_of(constant), got[row]) << text << "\nfolded as " << constant;
      ++folded;
    }
  }
  EXPECT_GT(compared, 150000);
  EXPECT_EQ(folded > 900, true) << folded;
}

// The same expressions give the same whatever the batch, so branches run on gathered rows equal those run on all.
TEST(SqliteDifferential, ResultsDoNotDependOnTheBatch) {
  const std::uint64_t seed = 7;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Generator g(seed);
  Table all;
  std::vector<Opt<std::int64_t>> i, j, k;
  std::vector<Opt<double>> x, y;
  std::vector<Opt<std::string>> s, t;
  const char* const texts[] = {"", "a", "ab", "click", "7", "x'"};
  for (int n = 0; n < 40; ++n) {
    i.push_back(static_cast<std::int64_t>(g.below(7)) - 3);
    j.push_back(g.below(4) == 0 ? Opt<std::int64_t>() : static_cast<std::int64_t>(g.below(5)));
    k.push_back(n);
    x.push_back(static_cast<double>(g.below(9)) / 2);
    y.push_back(g.below(4) == 0 ? Opt<double>() : static_cast<double>(g.below(3)));
    s.push_back(g.below(4) == 0 ? Opt<std::string>() : texts[g.below(6)]);
    t.push_back(texts[g.below(6)]);
  }
  all.ints("i", i).ints("j", j).ints("k", k).floats("x", x).floats("y", y).strings("s", s).strings("t", t);
  for (int round = 0; round < 600; ++round) {
    const std::string text = g.any(4);
    const auto whole = evaluate(all, text);
    for (std::size_t row : {std::size_t{0}, g.below(40), g.below(40)}) {
      Table one;
      one.ints("i", {i[row]})
          .ints("j", {j[row]})
          .ints("k", {k[row]})
          .floats("x", {x[row]})
          .floats("y", {y[row]})
          .strings("s", {s[row]})
          .strings("t", {t[row]});
      ASSERT_EQ(evaluate(one, text)[0], whole[row]) << text << " row " << row;
    }
  }
}

}  // namespace
}  // namespace twinspan::testing
