#pragma once
// What the queries in this folder must answer: obvious programs over the events, which share no code with the engine.
// Thread: any (pure).

#include <string>
#include <vector>

#include "tests/bench/bench_job.h"
#include "tests/bench/nexmark/nexmark_events.h"

namespace twinspan::nexmark {

struct Query {
  std::string name;  // of its pipeline file
  bench::Rows (*answer)(const Events&);
  bool persons = false, auctions = false, bids = false;  // what it reads
};

const std::vector<Query>& queries();
std::int64_t events_read(const Query& query, const Events& events);

}  // namespace twinspan::nexmark
