#include "tests/bench/nexmark/nexmark_answers.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace twinspan::nexmark {

namespace {

using bench::iso_time;
using bench::Rows;

constexpr std::int64_t kTen = 10'000, kDay = 86'400'000;

std::int64_t window(std::int64_t time, std::int64_t size) { return time / size * size; }

// price x 0.908
std::string euros(std::int64_t price) {
  const std::int64_t thousandths = price * 908;
  return fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
}

std::string ends(std::int64_t start, std::int64_t size) {
  return fmt::format(R"("window_start":"{}","window_end":"{}")", iso_time(start), iso_time(start + size));
}

int rank(std::int64_t price) { return price < 10'000 ? 1 : price < 1'000'000 ? 2 : 3; }

std::string part(const std::string& url, int n) {  // of what stands between slashes, from 0
  std::size_t begin = 0;
  for (int i = 0; i < n; ++i) begin = url.find('/', begin) + 1;
  return url.substr(begin, url.find('/', begin) - begin);
}

Rows q0(const Events& e) {
  Rows rows;
  for (const Bid& b : e.bids)
    ++rows[fmt::format(R"({{"auction":{},"bidder":{},"price":{},"date_time":"{}"}})", b.auction, b.bidder, b.price,
                       iso_time(b.date_time))];
  return rows;
}

Rows q1(const Events& e) {
  Rows rows;
  for (const Bid& b : e.bids)
    ++rows[fmt::format(R"({{"auction":{},"bidder":{},"price":{},"date_time":"{}"}})", b.auction, b.bidder,
                       euros(b.price), iso_time(b.date_time))];
  return rows;
}

Rows q2(const Events& e) {
  Rows rows;
  for (const Bid& b : e.bids)
    if (b.auction % 123 == 0) ++rows[fmt::format(R"({{"auction":{},"price":{}}})", b.auction, b.price)];
  return rows;
}

Rows q5(const Events& e) {
  constexpr std::int64_t kEvery = 2'000;
  std::map<std::int64_t, std::map<std::int64_t, int>> counts;  // window end -> auction
  for (const Bid& b : e.bids)
    for (std::int64_t end = window(b.date_time, kEvery) + kEvery; end <= b.date_time + kTen; end += kEvery)
      ++counts[end][b.auction];
  Rows rows;
  for (const auto& [end, auctions] : counts) {
    std::pair<int, std::string> best;
    for (const auto& [auction, n] : auctions) best = std::max(best, {n, std::to_string(auction)});
    ++rows[fmt::format(R"({{"auction":{},"n":{},"window_end":"{}"}})", best.second, best.first, iso_time(end))];
  }
  return rows;
}

Rows q7(const Events& e) {
  struct Best {
    std::int64_t price = -1;
    std::string auction, bidder;
  };
  std::map<std::int64_t, Best> best;
  for (const Bid& b : e.bids) {
    Best& now = best[window(b.date_time, kTen)];
    const Best other{b.price, std::to_string(b.auction), std::to_string(b.bidder)};
    if (std::tie(now.price, now.auction, now.bidder) < std::tie(other.price, other.auction, other.bidder)) now = other;
  }
  Rows rows;
  for (const auto& [start, b] : best)
    ++rows[fmt::format(R"({{"auction":{},"price":{},"bidder":{},"window_end":"{}"}})", b.auction, b.price, b.bidder,
                       iso_time(start + kTen))];
  return rows;
}

Rows q8(const Events& e) {
  std::map<std::int64_t, const Person*> people;
  for (const Person& p : e.persons) people[p.id] = &p;
  std::map<std::pair<std::int64_t, std::int64_t>, int> opened;  // window, person
  for (const Auction& a : e.auctions) {
    const auto p = people.find(a.seller);
    if (p != people.end() && window(p->second->date_time, kTen) == window(a.date_time, kTen))
      ++opened[{window(a.date_time, kTen), a.seller}];
  }
  Rows rows;
  for (const auto& [key, n] : opened)
    ++rows[fmt::format(R"({{"id":{},"name":"{}",{},"auctions":{}}})", key.second, people[key.second]->name,
                       ends(key.first, kTen), n)];
  return rows;
}

Rows q11(const Events& e) {
  std::map<std::int64_t, std::vector<std::int64_t>> times;  // by bidder
  for (const Bid& b : e.bids) times[b.bidder].push_back(b.date_time);
  Rows rows;
  for (auto& [bidder, all] : times) {
    std::sort(all.begin(), all.end());
    for (std::size_t first = 0, i = 1; i <= all.size(); ++i) {
      if (i < all.size() && all[i] - all[i - 1] < kTen) continue;
      ++rows[fmt::format(R"({{"bidder":{},{},"bids":{}}})", bidder, ends(all[first], all[i - 1] + kTen - all[first]),
                         i - first)];
      first = i;
    }
  }
  return rows;
}

Rows q12(const Events& e) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> counts;
  for (const Bid& b : e.bids) ++counts[{window(b.date_time, kTen), b.bidder}];
  Rows rows;
  for (const auto& [key, n] : counts)
    ++rows[fmt::format(R"({{"bidder":{},{},"bids":{}}})", key.second, ends(key.first, kTen), n)];
  return rows;
}

Rows q14(const Events& e) {
  Rows rows;
  for (const Bid& b : e.bids) {
    if (b.price * 908 <= 1'000'000'000 || b.price * 908 >= 50'000'000'000) continue;
    const std::int64_t hour = b.date_time / 3'600'000 % 24;
    const char* part_of_day = hour >= 8 && hour <= 18 ? "day" : hour <= 6 || hour >= 20 ? "night" : "between";
    ++rows[fmt::format(R"({{"auction":{},"bidder":{},"price":{},"part_of_day":"{}","c_counts":{}}})", b.auction,
                       b.bidder, euros(b.price), part_of_day, std::count(b.url.begin(), b.url.end(), 'c'))];
  }
  return rows;
}

struct Counts {
  std::int64_t bids[4] = {};  // [0]: of any rank
  std::set<std::int64_t> bidders[4], auctions[4];
  void add(const Bid& b) {
    for (const int r : {0, rank(b.price)}) {
      ++bids[r];
      bidders[r].insert(b.bidder);
      auctions[r].insert(b.auction);
    }
  }
  std::string bids_text() const {
    return fmt::format(R"("total_bids":{},"rank1_bids":{},"rank2_bids":{},"rank3_bids":{})", bids[0], bids[1], bids[2],
                       bids[3]);
  }
  std::string text() const {
    return bids_text() +
           fmt::format(R"(,"total_bidders":{},"rank1_bidders":{},"rank2_bidders":{},"rank3_bidders":{})",
                       bidders[0].size(), bidders[1].size(), bidders[2].size(), bidders[3].size()) +
           fmt::format(R"(,"total_auctions":{},"rank1_auctions":{},"rank2_auctions":{},"rank3_auctions":{})",
                       auctions[0].size(), auctions[1].size(), auctions[2].size(), auctions[3].size());
  }
};

Rows q15(const Events& e) {
  std::map<std::int64_t, Counts> days;
  for (const Bid& b : e.bids) days[window(b.date_time, kDay)].add(b);
  Rows rows;
  for (const auto& [start, c] : days) ++rows[fmt::format("{{{},{}}}", ends(start, kDay), c.text())];
  return rows;
}

Rows q16(const Events& e) {
  std::map<std::pair<std::int64_t, std::string>, Counts> days;
  for (const Bid& b : e.bids) days[{window(b.date_time, kDay), b.channel}].add(b);
  Rows rows;
  for (const auto& [key, c] : days)
    ++rows[fmt::format(R"({{"channel":"{}",{},{}}})", key.second, ends(key.first, kDay), c.text())];
  return rows;
}

// As JSON numbers are compared: 12.0 and 12 are one.
std::string mean(std::int64_t sum, std::int64_t n) {
  return fmt::format("{}", static_cast<double>(sum) / static_cast<double>(n));
}

Rows q17(const Events& e) {
  struct Prices {
    Counts counts;
    std::int64_t min = std::numeric_limits<std::int64_t>::max(), max = 0, sum = 0;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, Prices> days;
  for (const Bid& b : e.bids) {
    Prices& p = days[{window(b.date_time, kDay), b.auction}];
    p.counts.add(b);
    p.min = std::min(p.min, b.price);
    p.max = std::max(p.max, b.price);
    p.sum += b.price;
  }
  Rows rows;
  for (const auto& [key, p] : days)
    ++rows[fmt::format(R"({{"auction":{},{},{},"min_price":{},"max_price":{},"avg_price":{},"sum_price":{}}})",
                       key.second, ends(key.first, kDay), p.counts.bids_text(), p.min, p.max,
                       mean(p.sum, p.counts.bids[0]), p.sum)];
  return rows;
}

Rows q21(const Events& e) {
  static const std::map<std::string, std::string> kKnown = {
      {"apple", "0"}, {"google", "1"}, {"facebook", "2"}, {"baidu", "3"}};
  Rows rows;
  for (const Bid& b : e.bids) {
    std::string name = b.channel;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string id;
    if (const auto known = kKnown.find(name); known != kKnown.end()) {
      id = known->second;
    } else {
      const std::string what = "&channel_id=";
      const std::size_t at = b.url.find(what);
      if (at == std::string::npos) continue;
      id = b.url.substr(at + what.size());
    }
    ++rows[fmt::format(R"({{"auction":{},"bidder":{},"price":{},"channel":"{}","channel_id":"{}"}})", b.auction,
                       b.bidder, b.price, b.channel, id)];
  }
  return rows;
}

Rows q22(const Events& e) {
  Rows rows;
  for (const Bid& b : e.bids)
    ++rows[fmt::format(R"({{"auction":{},"dir1":"{}","dir2":"{}","dir3":"{}"}})", b.auction, part(b.url, 3),
                       part(b.url, 4), part(b.url, 5))];
  return rows;
}

Rows bids_in_time(const Events& e) {
  std::map<std::int64_t, const Auction*> auctions;
  for (const Auction& a : e.auctions) auctions[a.id] = &a;
  Rows rows;
  for (const Bid& b : e.bids) {
    const auto found = auctions.find(b.auction);
    if (found == auctions.end()) continue;
    const Auction& a = *found->second;
    if (b.date_time < a.date_time || b.date_time > a.expires) continue;
    ++rows[fmt::format(R"({{"auction":{},"category":{},"bidder":{},"price":{},"reached":{}}})", a.id, a.category,
                       b.bidder, b.price, b.price >= a.reserve)];
  }
  return rows;
}

}  // namespace

const std::vector<Query>& queries() {
  static const std::vector<Query> all = {{"q0", q0, false, false, true},
                                         {"q1", q1, false, false, true},
                                         {"q2", q2, false, false, true},
                                         {"q5", q5, false, false, true},
                                         {"q7", q7, false, false, true},
                                         {"q8", q8, true, true, false},
                                         {"q11", q11, false, false, true},
                                         {"q12", q12, false, false, true},
                                         {"q14", q14, false, false, true},
                                         {"q15", q15, false, false, true},
                                         {"q16", q16, false, false, true},
                                         {"q17", q17, false, false, true},
                                         {"q21", q21, false, false, true},
                                         {"q22", q22, false, false, true},
                                         {"bids_in_time", bids_in_time, false, true, true}};
  return all;
}

std::int64_t events_read(const Query& q, const Events& e) {
  return static_cast<std::int64_t>((q.persons ? e.persons.size() : 0) + (q.auctions ? e.auctions.size() : 0) +
                                   (q.bids ? e.bids.size() : 0));
}

}  // namespace twinspan::nexmark
