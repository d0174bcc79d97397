#include "engine/checkpoint/manifest.h"

#include <fmt/format.h>
#include <xxhash.h>
#include <boost/json.hpp>

namespace twinspan::engine {

namespace json = boost::json;

std::string content_sum(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

std::string to_json(const Manifest& manifest) {
  json::array files;
  for (const ManifestFile& f : manifest.files) files.push_back({{"name", f.name}, {"size", f.size}, {"sum", f.sum}});
  json::object body{{"format", manifest.format},
                    {"kind", manifest.kind},
                    {"epoch", manifest.epoch.value},
                    {"previous", manifest.previous.value},
                    {"files", files}};
  const std::string text = json::serialize(body);
  return text + "\n" + content_sum(text) + "\n";
}

Result<Manifest> parse_manifest(std::string_view bytes) {
  const std::size_t line = bytes.find('\n');
  if (line == std::string_view::npos || bytes.size() != line + 1 + 33 || bytes.back() != '\n' ||
      bytes.substr(line + 1, 32) != content_sum(bytes.substr(0, line)))
    return permanent_error("manifest is damaged");
  boost::system::error_code code;
  const json::value value = json::parse(bytes.substr(0, line), code);
  if (code) return permanent_error("manifest is not JSON");
  try {
    Manifest m;
    const auto& o = value.as_object();
    m.format = static_cast<int>(o.at("format").as_int64());
    if (m.format != kCheckpointFormat)
      return permanent_error(
          fmt::format("checkpoint has format {}, this version reads {}", m.format, kCheckpointFormat));
    m.kind = std::string(o.at("kind").as_string());
    m.epoch = Epoch(o.at("epoch").to_number<std::uint64_t>());
    m.previous = Epoch(o.at("previous").to_number<std::uint64_t>());
    for (const auto& f : o.at("files").as_array()) {
      m.files.push_back({std::string(f.at("name").as_string()), f.at("size").to_number<std::uint64_t>(),
                         std::string(f.at("sum").as_string())});
      if (m.files.back().name.find('/') != std::string::npos)
        return permanent_error("manifest names a file outside its directory");
    }
    return m;
  } catch (const std::exception& e) {
    return permanent_error(fmt::format("manifest lacks a field: {}", e.what()));
  }
}

}  // namespace twinspan::engine
