#pragma once
// Answers of the API as tables for people. Thread: any (pure).

#include <boost/json/value.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>

namespace twinspan::admin {

void print_pipelines(const boost::json::value& list, std::int64_t now_ms,
                     std::ostream& out);  // GET /v1/pipelines
void print_pipeline(const boost::json::value& pipeline, std::int64_t now_ms,
                    std::ostream& out);                                                   // GET /v1/pipelines/{p}
void print_lag(const boost::json::value& pipeline, bool partitions, std::ostream& out);   // the same
void print_throttle(const boost::json::value& throttle, std::ostream& out);               // GET .../throttle
void print_plan(const boost::json::value& plan, std::int64_t now_ms, std::ostream& out);  // POST ...:plan
void print_discard(const boost::json::value& discard, std::ostream& out);                 // POST .../lag-discards
void print_discards(const boost::json::value& list, std::ostream& out);                   // GET .../lag-discards

// "4,312,903 records" of a plan or discard, and "2 lanes pending" if there are any.
std::string discard_amount(const boost::json::value& plan_or_discard);

}  // namespace twinspan::admin
