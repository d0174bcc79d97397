#pragma once
// The structs of control_plane.h as JSON. Names are those of the fields; "none yet" is null. Thread: any
// (pure).

#include <boost/json/object.hpp>

#include "admin/control_plane.h"

namespace twinspan::admin {

boost::json::object to_json(const PipelineStatus& status);
boost::json::object summary_json(const PipelineStatus& status);  // a row of GET /v1/pipelines: no lanes, no steps
boost::json::object to_json(const RateLimits& limits);
boost::json::object to_json(const DiscardTarget& target);
boost::json::object to_json(const DiscardPlan& plan);
boost::json::object to_json(const Discard& discard);

}  // namespace twinspan::admin
