#include "engine/operators/key_group.h"

#include <algorithm>

#define XXH_INLINE_ALL  // short keys: the call would be a third of the hash
#include <xxhash.h>

namespace twinspan::engine {

void KeyGroup::encode(const Batch& batch, const std::uint32_t* rows, std::uint32_t n) {
  std::size_t total = 0, size[kRows];
  codec_.encoded_sizes(batch, rows, n, size);
  for (std::uint32_t i = 0; i < n; ++i) total += size[i];
  if (bytes_.size() < total) bytes_.resize(std::max(total, 2 * bytes_.size()));
  char* to = bytes_.data();
  for (std::uint32_t i = 0; i < n; ++i) {
    char* const end = codec_.encode(batch, rows[i], to);
    key_[i] = {to, size[i]};
    to = end;
  }
  if (batch.hash != nullptr) {
    for (std::uint32_t i = 0; i < n; ++i) hash_[i] = batch.hash[rows[i]];
  } else {
    for (std::uint32_t i = 0; i < n; ++i) hash_[i] = XXH3_64bits(key_[i].data(), size[i]);
  }
}

}  // namespace twinspan::engine
