#include "engine/native/native_module.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "engine/native/native_aggregate.h"
#include "engine/native/native_scalar.h"

namespace twinspan::engine {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kMostArguments = 16;
// A module that was built before there were aggregates ends here.
constexpr std::size_t kFirstModule = offsetof(ts_module, aggregate_count);

bool is_name(const char* name) {
  if (name == nullptr || name[0] < 'a' || name[0] > 'z') return false;
  std::size_t n = 0;
  for (; name[n] != 0; ++n) {
    const char c = name[n];
    if (n >= 64 || ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')) return false;
  }
  return true;
}

// A library that passed every check, and the texts that the function table points to.
struct Loaded {
  NativeModuleInfo info;
  std::deque<std::string> texts;
  std::vector<NativeWindowFunction> window_functions;
  std::deque<NativeAggregateTexts> aggregate_texts;
  std::vector<AggregateInfo> aggregates;
};

struct Catalog {
  std::mutex mutex;
  std::map<std::string, Loaded> by_path;
};
Catalog& catalog() {
  static Catalog instance;
  return instance;
}

// Checks of one file: the first thing that is wrong.
class ModuleLoader {
 public:
  explicit ModuleLoader(std::string path) : path_(std::move(path)), stem_(fs::path(path_).stem().string()) {}

  Status load(Loaded& out, std::vector<Overload>& overloads) {
    TS_TRYV(check_file());
    TS_TRY(module, open());
    TS_TRYV(check_module(*module));
    out.info = {stem_, path_, module->doc != nullptr ? module->doc : "", {}};
    for (std::uint32_t i = 0; i < module->scalar_count; ++i) {
      const ts_scalar* f = row(module->scalars, i);
      TS_TRYV(check_function_with_code(*f, i));
      TS_TRYV(check_result(f->name, f->result, f->flags));
      TS_TRY(full_name, name_in(out, f->name));
      const std::string& name = keep(out, std::move(full_name));
      std::string letters;
      for (std::uint32_t a = 0; a < f->arg_count; ++a) letters += native_letter(f->args[a]);
      const std::string types = type_list(f->args, f->arg_count);
      const std::string& signature = keep(out, fmt::format("{}({}) -> {}", name, types, native_type_name(f->result)));
      overloads.push_back(native_overload(*f, name, signature, keep(out, std::move(letters))));
    }
    for (std::uint32_t i = 0; i < module->window_function_count; ++i) {
      const ts_window_function* f = row(module->window_functions, i);
      TS_TRYV(check_function_with_code(*f, i));
      if (f->flags != 0)
        return wrong_function(f->name, fmt::format("has flags {:#x} that this version does not know", f->flags));
      TS_TRY(columns, column_list(*f));
      TS_TRY(name, name_in(out, f->name));
      std::string signature = fmt::format("{}({}) -> ({})", name, type_list(f->args, f->arg_count), columns);
      out.window_functions.push_back({f, std::move(name), std::move(signature)});
    }
    for (std::uint32_t i = 0; i < aggregate_count(*module); ++i) {
      const ts_aggregate* f = row(module->aggregates, i);
      TS_TRYV(check_aggregate(*f, i));
      TS_TRY(full_name, name_in(out, f->name));
      const std::string& name = keep(out, std::move(full_name));
      if (find_aggregate(name) != nullptr) return config_error(fmt::format("there is a function '{}' already", name));
      out.aggregates.push_back(native_aggregate(*f, name, out.aggregate_texts.emplace_back()));
    }
    return ok();
  }

 private:
  static const std::string& keep(Loaded& out, std::string text) { return out.texts.emplace_back(std::move(text)); }
  // Row i of a table, by the size the library was built with: a later version may have longer ones.
  template <class T>
  static const T* row(const T* table, std::uint32_t i) {
    return reinterpret_cast<const T*>(reinterpret_cast<const char*>(table) + std::size_t{i} * table->size);
  }
  static std::string type_list(const std::uint32_t* kinds, std::uint32_t n) {
    std::string out;
    for (std::uint32_t i = 0; i < n; ++i) out += fmt::format("{}{}", i == 0 ? "" : ", ", native_type_name(kinds[i]));
    return out;
  }
  Result<std::string> name_in(Loaded& out, const char* function) const {
    std::string name = fmt::format("{}.{}", stem_, function);
    auto& names = out.info.functions;
    if (std::find(names.begin(), names.end(), name) != names.end())
      return wrong(fmt::format("has two functions '{}'", function));
    names.push_back(name);
    return name;
  }
  Error wrong(const std::string& what) const { return config_error(fmt::format("native module '{}' {}", path_, what)); }
  Error wrong_function(const std::string& name, const std::string& what) const {
    return config_error(fmt::format("native module '{}': function '{}' {}", path_, name, what));
  }

  Status check_file() const {
    if (!is_name(stem_.c_str()))
      return wrong("has a name that cannot stand in an expression: a-z first, then a-z, 0-9 and _, at most 64");
    struct stat st {};
    if (::stat(path_.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return wrong("is no regular file");
    if ((st.st_mode & S_IWOTH) != 0) return wrong("may be written by anybody: take that right away (chmod o-w)");
    return ok();
  }

  Result<const ts_module*> open() const {
    void* library = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* reason = ::dlerror();
      return wrong(fmt::format("does not load: {}", reason != nullptr ? reason : "no reason given"));
    }
    // Never closed: when a check fails after this point, nothing points into it, but its code has run already.
    auto* entry = reinterpret_cast<const ts_module* (*)()>(::dlsym(library, TWINSPAN_NATIVE_SYMBOL));
    if (entry == nullptr)
      return wrong(fmt::format("has no symbol '{}': is it a plug-in, and built with default visibility?",
                               TWINSPAN_NATIVE_SYMBOL));
    const ts_module* module = entry();
    if (module == nullptr) return wrong("gives no description of itself");
    return module;
  }

  Status check_module(const ts_module& m) const {
    if (m.abi != TWINSPAN_NATIVE_ABI)
      return wrong(
          fmt::format("was built for version {} of the interface, this program has version {}: build it again "
                      "with this program's twinspan_native.h",
                      m.abi, TWINSPAN_NATIVE_ABI));
    if (m.size < kFirstModule) return wrong(fmt::format("describes itself in {} bytes, not {}", m.size, sizeof m));
    if (m.name == nullptr || stem_ != m.name)
      return wrong(fmt::format("calls itself '{}': file and module have one name", m.name != nullptr ? m.name : ""));
    if (m.scalar_count == 0 && m.window_function_count == 0 && aggregate_count(m) == 0) return wrong("has no function");
    if (m.scalar_count > 0 && (m.scalars == nullptr || m.scalars->size < sizeof(ts_scalar)))
      return wrong("has a broken table of scalar functions");
    if (m.window_function_count > 0 &&
        (m.window_functions == nullptr || m.window_functions->size < sizeof(ts_window_function)))
      return wrong("has a broken table of window functions");
    if (aggregate_count(m) > 0 && (m.aggregates == nullptr || m.aggregates->size < sizeof(ts_aggregate)))
      return wrong("has a broken table of aggregates");
    return ok();
  }
  static std::uint32_t aggregate_count(const ts_module& m) {
    return m.size < sizeof(ts_module) ? 0 : m.aggregate_count;
  }

  template <class F>
  Status check_function(const F& f, std::uint32_t index) const {
    if (!is_name(f.name)) return wrong(fmt::format("has no proper name for its function {}", index));
    if (f.doc == nullptr || *f.doc == 0) return wrong_function(f.name, "has no line of documentation");
    if (f.arg_count < 1 || f.arg_count > kMostArguments)
      return wrong_function(f.name,
                            fmt::format("takes {} arguments; 1 to {} are possible", f.arg_count, kMostArguments));
    if (f.args == nullptr) return wrong_function(f.name, "does not say what it takes");
    for (std::uint32_t a = 0; a < f.arg_count; ++a)
      if (native_type_name(f.args[a]) == nullptr)
        return wrong_function(f.name, fmt::format("has type {} for argument {}, which is none", f.args[a], a + 1));
    return ok();
  }
  template <class F>
  Status check_function_with_code(const F& f, std::uint32_t index) const {
    TS_TRYV(check_function(f, index));
    return f.run != nullptr ? ok() : Status(wrong_function(f.name, "has no code"));
  }
  Status check_result(const char* name, std::uint32_t result, std::uint32_t flags) const {
    if (native_type_name(result) == nullptr)
      return wrong_function(name, fmt::format("has type {} for its result, which is none", result));
    if ((flags & ~static_cast<std::uint32_t>(TS_TAKES_NULLS)) != 0)
      return wrong_function(name, fmt::format("has flags {:#x} that this version does not know", flags));
    return ok();
  }
  Status check_aggregate(const ts_aggregate& f, std::uint32_t index) const {
    TS_TRYV(check_function(f, index));
    TS_TRYV(check_result(f.name, f.result, f.flags));
    if (f.add == nullptr || f.merge == nullptr || f.value == nullptr)
      return wrong_function(f.name, "needs `add`, `merge` and `value`: windows add rows and merge what they keep");
    if (f.retract == nullptr && (f.append_only == nullptr || *f.append_only == 0))
      return wrong_function(f.name, "takes no rows back, and does not say why (append_only)");
    if (f.state_size < 1 || f.most_bytes < f.state_size || f.most_bytes > TS_MOST_STATE)
      return wrong_function(f.name, fmt::format("keeps {} to {} bytes; 1 to {} are possible", f.state_size,
                                                f.most_bytes, static_cast<int>(TS_MOST_STATE)));
    return ok();
  }

  // "began timestamp, lasted duration".
  Result<std::string> column_list(const ts_window_function& f) const {
    if (f.column_count < 1 || f.column_count > kMostArguments || f.columns == nullptr)
      return wrong_function(f.name,
                            fmt::format("gives {} columns; 1 to {} are possible", f.column_count, kMostArguments));
    std::string out;
    for (std::uint32_t c = 0; c < f.column_count; ++c) {
      if (!is_name(f.columns[c].name))
        return wrong_function(f.name, fmt::format("has no proper name for column {}", c));
      for (std::uint32_t other = 0; other < c; ++other)
        if (std::string_view(f.columns[c].name) == f.columns[other].name)
          return wrong_function(f.name, fmt::format("gives two columns '{}'", f.columns[c].name));
      const char* type = native_type_name(f.columns[c].kind);
      if (type == nullptr)
        return wrong_function(
            f.name, fmt::format("has type {} for column '{}', which is none", f.columns[c].kind, f.columns[c].name));
      out += fmt::format("{}{} {}", c == 0 ? "" : ", ", f.columns[c].name, type);
    }
    return out;
  }

  std::string path_, stem_;
};

}  // namespace

std::vector<Error> load_native_modules(const std::string& directory) {
  struct stat st {};
  if (::stat(directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    return {config_error(fmt::format("native directory '{}' is no directory", directory))};
  if ((st.st_mode & S_IWOTH) != 0)
    return {config_error(
        fmt::format("native directory '{}' may be written by anybody: what lies in it runs as this program (chmod o-w)",
                    directory))};
  std::error_code code;
  const fs::path real = fs::canonical(directory, code);
  std::vector<std::string> paths;
  std::vector<Error> errors;
  for (const fs::directory_entry& entry : fs::directory_iterator(real, code)) {
    if (entry.path().extension() != ".so") continue;
    // A link may name another file here, but nothing outside.
    const fs::path target = fs::canonical(entry.path(), code);
    if (code || target.parent_path() != real)
      errors.push_back(config_error(
          fmt::format("native module '{}' is a link that leads out of the directory", entry.path().string())));
    else
      paths.push_back(entry.path().string());
  }
  if (code && paths.empty() && errors.empty())
    errors.push_back(config_error(fmt::format("native directory '{}': {}", directory, code.message())));
  std::sort(paths.begin(), paths.end());
  Catalog& all = catalog();
  std::lock_guard lock(all.mutex);
  for (const std::string& path : paths) {
    if (all.by_path.contains(path)) continue;
    Loaded loaded;
    std::vector<Overload> overloads;
    Status good = ModuleLoader(path).load(loaded, overloads);
    if (good) good = add_functions(std::move(overloads));
    if (!good) {
      errors.push_back(good.error());
      continue;
    }
    Loaded& kept = all.by_path.emplace(path, std::move(loaded)).first->second;
    add_aggregates(kept.aggregates);
  }
  return errors;
}

std::vector<NativeModuleInfo> native_modules() {
  Catalog& all = catalog();
  std::lock_guard lock(all.mutex);
  std::vector<NativeModuleInfo> out;
  for (const auto& [path, loaded] : all.by_path) out.push_back(loaded.info);
  return out;
}

std::vector<NativeWindowFunction> native_window_functions() {
  Catalog& all = catalog();
  std::lock_guard lock(all.mutex);
  std::vector<NativeWindowFunction> out;
  for (const auto& [path, loaded] : all.by_path)
    out.insert(out.end(), loaded.window_functions.begin(), loaded.window_functions.end());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

}  // namespace twinspan::engine
