#include "engine/base/result.h"

namespace twinspan {

const char* to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::config: return "config";
    case ErrorKind::transient: return "transient";
    case ErrorKind::data: return "data";
    case ErrorKind::conflict: return "conflict";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::permanent: return "permanent";
    case ErrorKind::shutdown: return "shutdown";
  }
  return "unknown";
}

}  // namespace twinspan
