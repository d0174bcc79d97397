#include "engine/checkpoint/state_image.h"

namespace twinspan::engine {

Status StateImage::apply(const std::string& step, unsigned shard, unsigned shards, std::string_view delta) {
  Step& target = steps_[step];
  DeltaReader reader(delta);
  StateEntry e;
  for (;;) {
    TS_TRY(more, reader.next(e));
    if (!more) return ok();
    Space& space = target.spaces[e.space];
    switch (e.kind) {
      case StateEntry::Kind::put: {
        auto [it, fresh] = space.by_tag[e.tag].try_emplace(Key{e.key_group, e.key}, space.entries.size());
        if (fresh) {
          space.entries.push_back({e, true});
          ++live_;
        } else {
          space.entries[it->second].entry.value = e.value;
        }
        break;
      }
      case StateEntry::Kind::erase: {
        auto tag = space.by_tag.find(e.tag);
        if (tag == space.by_tag.end()) break;
        auto it = tag->second.find(Key{e.key_group, e.key});
        if (it == tag->second.end()) break;
        space.entries[it->second].live = false;
        tag->second.erase(it);
        --live_;
        break;
      }
      case StateEntry::Kind::drop_below: drop(space, e.tag, shard, shards); break;
    }
  }
}

Status StateImage::apply(const std::string& step, unsigned shard, unsigned shards, const std::vector<SpaceDrop>& drops,
                         std::string_view frames) {
  Step& target = steps_[step];
  for (const SpaceDrop& d : drops) drop(target.spaces[d.space], d.below, shard, shards);
  return apply(step, shard, shards, frames);
}

void StateImage::drop(Space& space, std::int64_t below, unsigned shard, unsigned shards) {
  for (auto tag = space.by_tag.begin(); tag != space.by_tag.end() && tag->first < below;) {
    for (auto it = tag->second.begin(); it != tag->second.end();) {
      Entry& old = space.entries[it->second];
      if (shard_of_group(old.entry.key_group, shards) == shard) {
        old.live = false;
        --live_;
        it = tag->second.erase(it);
      } else {
        ++it;
      }
    }
    tag = tag->second.empty() ? space.by_tag.erase(tag) : std::next(tag);
  }
}

Status StateImage::for_each(const std::string& step, const std::function<Status(const StateEntry&)>& visit) const {
  auto it = steps_.find(step);
  if (it == steps_.end()) return ok();
  for (const auto& [id, space] : it->second.spaces)
    for (const Entry& e : space.entries)
      if (e.live) TS_TRYV(visit(e.entry));
  return ok();
}

std::vector<std::string> StateImage::steps() const {
  std::vector<std::string> names;
  for (const auto& [name, step] : steps_) names.push_back(name);
  return names;
}

}  // namespace twinspan::engine
