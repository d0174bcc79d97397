#include "engine/native/native_scalar.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of one allocation
constexpr std::size_t kMostMessage = 500;

// What the plug-in's `self` points to during a call.
struct Host {
  KernelCall& call;
  bool strayed = false;  // it failed a row that is not there

  static void* allocate(void* self, std::uint64_t bytes) {
    return bytes > kMostBytes ? nullptr : static_cast<Host*>(self)->call.bytes->allocate(bytes);
  }
  static void fail(void* self, std::uint64_t row, const char* message) {
    Host& host = *static_cast<Host*>(self);
    if (row >= host.call.rows)
      host.strayed = true;
    else if (host.call.computes(row))
      host.call.fail(static_cast<std::uint32_t>(row),
                     std::string_view(message != nullptr ? message : "failed").substr(0, kMostMessage));
  }
};

void take_texts(KernelCall& call, const ts_text* texts, const std::uint8_t* valid, bool utf8) {
  auto* to = call.result<std::string_view>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = std::string_view("", 0);
    if (valid[i] == 0 || !call.computes(i) || (call.errors != nullptr && call.errors[i] != 0)) continue;
    if (texts[i].data == nullptr && texts[i].size != 0)
      call.fail(i, "the native function gave a text without bytes");
    else if (utf8 && !is_utf8({texts[i].data != nullptr ? texts[i].data : "", texts[i].size}))
      call.fail(i, "the native function gave a string that is not UTF-8");
    else if (texts[i].size != 0)
      to[i] = {texts[i].data, texts[i].size};
  }
}

void run_native(KernelCall& call) {
  const ts_scalar& f = call.params->as<ts_scalar>();
  Host self{call};
  const ts_host host{&self, &Host::allocate, &Host::fail, nullptr};
  auto* args = call.scratch->make<ts_column>(call.count);
  for (std::uint32_t a = 0; a < call.count; ++a) {
    const Value& v = call.args[a];
    args[a] = native_column(v.data, v.valid, v.stride == 0, f.args[a], call.rows, *call.scratch);
  }
  auto* valid = call.scratch->make<std::uint8_t>(call.rows);
  for (std::uint32_t i = 0; i < call.rows; ++i) valid[i] = call.computes(i);

  const bool texts = f.result == TS_STRING || f.result == TS_BYTES;
  ts_result result{call.out, valid};
  if (texts) result.values = call.scratch->make<ts_text>(call.rows);
  std::memset(result.values, 0, call.rows * (texts ? sizeof(ts_text) : value_width(call.type.kind)));
  f.run(&host, call.rows, args, &result);

  if (self.strayed)
    for (std::uint32_t i = 0; i < call.rows; ++i)
      if (call.computes(i)) call.fail(i, "the native function failed a row that is not there");
  if (texts) take_texts(call, static_cast<const ts_text*>(result.values), valid, f.result == TS_STRING);
  if (f.result == TS_BOOL) {
    auto* b = call.result<std::uint8_t>();
    for (std::uint32_t i = 0; i < call.rows; ++i) b[i] = b[i] != 0;
  }
  for (std::uint32_t i = 0; i < call.rows; ++i)
    if (valid[i] == 0 && call.computes(i)) call.set_null(i);
}

}  // namespace

const char* native_type_name(std::uint32_t kind) {
  switch (kind) {
    case TS_BOOL: return "bool";
    case TS_INT64: return "int64";
    case TS_FLOAT64: return "float64";
    case TS_STRING: return "string";
    case TS_BYTES: return "bytes";
    case TS_TIMESTAMP: return "timestamp";
    case TS_DURATION: return "duration";
    default: return nullptr;
  }
}

DataType native_type(std::uint32_t kind) { return type_of_letter(native_letter(kind)); }

char native_letter(std::uint32_t kind) {
  switch (kind) {
    case TS_BOOL: return 'b';
    case TS_INT64: return 'i';
    case TS_FLOAT64: return 'f';
    case TS_STRING: return 's';
    case TS_BYTES: return 'y';
    case TS_TIMESTAMP: return 't';
    default: return 'u';
  }
}

Overload native_overload(const ts_scalar& f, std::string_view name, std::string_view signature,
                         std::string_view letters) {
  Overload o{};
  o.info = {name, "native", signature, f.doc};
  o.args = letters;
  o.result = native_letter(f.result);
  o.run = &run_native;
  o.cost = 50;  // not known; dear enough to be spared where a branch is not taken
  o.strict = (f.flags & TS_TAKES_NULLS) == 0;
  o.state = &f;  // the library's own memory
  return o;
}

}  // namespace twinspan::engine
