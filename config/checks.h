#pragma once
// What a table cannot say: names that must exist, the shape of the graph, keys that exclude or need each other.
// Called by parse.cpp once a document is read; adds to the Diagnostics. Thread: any.

#include "config/diagnostic.h"
#include "config/pipeline_spec.h"
#include "config/service_spec.h"

namespace twinspan::config {

// Sources, sinks and dead letters; `service` may be null.
void check_connections(const PipelineSpec& pipeline, const ServiceSpec* service, Diagnostics& diagnostics);
// Steps: their kinds, windows and joins.
void check_steps(const PipelineSpec& pipeline, Diagnostics& diagnostics);
// Names between sources, steps and sinks; cycles; what nobody uses.
void check_graph(const PipelineSpec& pipeline, Diagnostics& diagnostics);
// The `tests:` block: names, what follows what. Fills the parsed names of lanes.
void check_tests(PipelineSpec& pipeline, Diagnostics& diagnostics);
void check_service(const ServiceSpec& service, Diagnostics& diagnostics);

}  // namespace twinspan::config
