#include "tests/bench/nexmark/nexmark_events.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/bench/bench_events.h"

namespace twinspan::nexmark {

namespace {

using bench::mix;

constexpr std::int64_t kRound = 50, kAuctionsARound = 3, kFirstId = 1000;
const char* const kFirst[] = {"Ada", "Bo", "Chen", "Dara", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai"};
const char* const kLast[] = {"Abe", "Brandt", "Costa", "Diaz", "Evans", "Fuchs", "Garcia", "Huang", "Ito"};
const char* const kCities[] = {"Phoenix", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"};
const char* const kStates[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
const char* const kChannels[] = {"Google", "Facebook", "Baidu", "Apple"};

// What looks random about one event: a stream of numbers of its own.
class Dice {
 public:
  explicit Dice(std::int64_t number) : state_(mix(static_cast<std::uint64_t>(number) * 2 + 1)) {}
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n)); }
  // Between 100 and 10^8, as often in one decade as in another.
  std::int64_t price() { return std::llround(std::pow(10.0, static_cast<double>(next() >> 11) * 0x1p-53 * 6) * 100); }
  std::string letters(std::int64_t n) {
    std::string s;
    for (std::int64_t i = 0; i < n; ++i) s += static_cast<char>('a' + below(26));
    return s;
  }

 private:
  std::uint64_t next() { return state_ = mix(state_); }
  std::uint64_t state_;
};

// Of the last `window` of what exists by `newest`.
std::int64_t recent(Dice& dice, std::int64_t newest, std::int64_t window) {
  return newest - dice.below(std::min(newest + 1, window));
}
std::int64_t hot(std::int64_t newest, std::int64_t every) { return newest / every * every; }

std::int64_t newest_person(std::int64_t number) { return number / kRound; }
std::int64_t newest_auction(std::int64_t number) {
  const std::int64_t round = number / kRound, in_round = number % kRound;
  return std::max<std::int64_t>(0, round * kAuctionsARound + std::min(in_round, kAuctionsARound) - 1);
}

Person person(std::int64_t number, std::int64_t time) {
  Dice dice(number);
  Person p;
  p.id = kFirstId + newest_person(number);
  p.date_time = time;
  p.name = fmt::format("{} {}", kFirst[dice.below(std::size(kFirst))], kLast[dice.below(std::size(kLast))]);
  p.email_address = fmt::format("{}@{}.example", dice.letters(7), dice.letters(5));
  p.credit_card = fmt::format("{:04} {:04} {:04} {:04}", dice.below(10'000), dice.below(10'000), dice.below(10'000),
                              dice.below(10'000));
  p.city = kCities[dice.below(std::size(kCities))];
  p.state = kStates[dice.below(std::size(kStates))];
  return p;
}

Auction auction(std::int64_t number, std::int64_t time) {
  Dice dice(number);
  Auction a;
  a.id = kFirstId + newest_auction(number);
  const std::int64_t seller = newest_person(number);
  a.seller = kFirstId + (dice.below(4) != 0 ? hot(seller, 10) : recent(dice, seller, 1000));
  a.category = 10 + dice.below(5);
  a.initial_bid = dice.price();
  a.reserve = a.initial_bid + dice.price();
  a.date_time = time;
  a.expires = time + 1000 + dice.below(20'000);
  a.item_name = dice.letters(12);
  a.description = dice.letters(60);
  return a;
}

Bid bid(std::int64_t number, std::int64_t time) {
  Dice dice(number);
  Bid b;
  const std::int64_t newest = newest_auction(number), people = newest_person(number);
  b.auction = kFirstId + (dice.below(2) != 0 ? hot(newest, 100) : recent(dice, newest, 100));
  b.bidder = kFirstId + (dice.below(4) != 0 ? hot(people, 10) : recent(dice, people, 1000));
  b.price = dice.price();
  b.date_time = time;
  const std::int64_t channel = dice.below(10'000);
  const bool known = dice.below(2) != 0;
  b.channel = known ? kChannels[dice.below(std::size(kChannels))] : fmt::format("channel-{}", channel);
  b.url = fmt::format("https://auctions.example/{}/{}/{}/item.htm?query=1", dice.letters(4), dice.letters(4),
                      dice.letters(4));
  if (!known) b.url += fmt::format("&channel_id={}", channel);
  return b;
}

}  // namespace

Events generate(std::int64_t count, std::int64_t per_second) {
  Events events;
  for (std::int64_t n = 0; n < count; ++n) {
    const auto jitter = static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(n) * 3) % (kOutOfOrderMs - 100));
    const std::int64_t time = bench::kEpochMs + n * 1000 / per_second + jitter;
    const std::int64_t kind = n % kRound;
    if (kind == 0)
      events.persons.push_back(person(n, time));
    else if (kind <= kAuctionsARound)
      events.auctions.push_back(auction(n, time));
    else
      events.bids.push_back(bid(n, time));
  }
  return events;
}

void write_files(const Events& events, const std::string& directory) {
  const auto write = [&](const char* name, const auto& all, auto&& line_of) {
    std::ofstream out(directory + "/" + name, std::ios::binary);
    std::string text;
    for (const auto& e : all) {
      text += line_of(e);
      if (text.size() < (1u << 20)) continue;
      out << text;
      text.clear();
    }
    out << text;
    if (!out.flush()) throw std::runtime_error("cannot write " + directory + "/" + name);
  };
  write("person.jsonl", events.persons, [](const Person& p) {
    return fmt::format(
        R"({{"id":{},"name":"{}","email_address":"{}","credit_card":"{}","city":"{}","state":"{}","date_time":{}}})"
        "\n",
        p.id, p.name, p.email_address, p.credit_card, p.city, p.state, p.date_time);
  });
  write("auction.jsonl", events.auctions, [](const Auction& a) {
    return fmt::format(
        R"({{"id":{},"item_name":"{}","description":"{}","initial_bid":{},"reserve":{},"date_time":{},"expires":{},"seller":{},"category":{}}})"
        "\n",
        a.id, a.item_name, a.description, a.initial_bid, a.reserve, a.date_time, a.expires, a.seller, a.category);
  });
  write("bid.jsonl", events.bids, [](const Bid& b) {
    return fmt::format(R"({{"auction":{},"bidder":{},"price":{},"channel":"{}","url":"{}","date_time":{}}})"
                       "\n",
                       b.auction, b.bidder, b.price, b.channel, b.url, b.date_time);
  });
}

}  // namespace twinspan::nexmark
