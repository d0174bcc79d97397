#pragma once
// The events of Nexmark (an auction site: people register, sellers open auctions, bidders bid), made after its public
// description (Tucker, Tufte, Papadimos, Maier: "NEXMark - A Benchmark for Queries over Data Streams", and the queries
// that Beam and Flink added): of 50 events one is a person, three are auctions, 46 are bids; half of all bids go to one
// hot auction, three of four auctions to a hot seller. An event is a function of its number, so that an answer can be
// computed without a store. Thread: any (pure).

#include <cstdint>
#include <string>
#include <vector>

namespace twinspan::nexmark {

struct Person {
  std::int64_t id = 0, date_time = 0;  // ms
  std::string name, email_address, credit_card, city, state;
};

struct Auction {
  std::int64_t id = 0, initial_bid = 0, reserve = 0, date_time = 0, expires = 0, seller = 0, category = 0;
  std::string item_name, description;
};

struct Bid {
  std::int64_t auction = 0, bidder = 0, price = 0, date_time = 0;
  std::string channel, url;
};

struct Events {
  std::vector<Person> persons;
  std::vector<Auction> auctions;
  std::vector<Bid> bids;
};

inline constexpr std::int64_t kOutOfOrderMs = 1000;  // no event is later than that

// The first `count` events, `per_second` of event time, in the order in which they arrive.
Events generate(std::int64_t count, std::int64_t per_second);
// person.jsonl, auction.jsonl and bid.jsonl in a directory.
void write_files(const Events& events, const std::string& directory);

}  // namespace twinspan::nexmark
