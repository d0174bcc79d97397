#pragma once
// Fills the endpoint table with the calls of the API, each a few lines over the control plane. Thread: any.

#include "admin/control_plane.h"
#include "admin/endpoint_table.h"
#include "engine/base/clock.h"

namespace twinspan::admin {

// Both are borrowed and must outlive the table.
EndpointTable make_endpoints(ControlPlane& control, const Clock& clock);

}  // namespace twinspan::admin
