#pragma once
// From the rows of a `tests:` block to records: the fields a source declares say what a scalar is in JSON (`7` of an
// int64 is a number, of a string a text), and times may be written as such also where the wire has milliseconds. What
// does not fit its field goes out as a text, so that bad input can be sent on purpose. Thread: any.

#include <optional>
#include <string>

#include "config/pipeline_spec.h"
#include "engine/base/ids.h"
#include "gateway/driver/virtual_clusters.h"

namespace twinspan::gateway {

// The record's own time is `now_ms` unless the row has _timestamp.
VirtualRecord record_of(const config::Node& row, const config::SourceSpec& source, std::int64_t now_ms);

// What the row says of its event time; nullopt if it says nothing.
std::optional<EventTime> event_time_of(const config::Node& row, const config::SourceSpec& source);

// The node as one line of YAML.
std::string flow_text(const config::Node& node);

}  // namespace twinspan::gateway
