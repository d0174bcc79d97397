#pragma once
// Plug-ins with native functions (twinspan_native.h): found, checked and made part of the function table. A library
// that was loaded stays for the life of the process, since plans point into it. What runs in there is trusted: it is
// checked for honest mistakes, not for malice, and a crash is a crash of the process. Thread: control, before pipelines
// load.

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/native/twinspan_native.h"

namespace twinspan::engine {

struct NativeModuleInfo {
  std::string name, path, doc;
  std::vector<std::string> functions;  // "geo.distance"
};

// Loads every *.so of the directory, in the order of their names, or says everything that is wrong, one error a file;
// then no function of that file is added. A library that is loaded already is passed over.
std::vector<Error> load_native_modules(const std::string& directory);

std::vector<NativeModuleInfo> native_modules();  // loaded so far

// Whole-window functions of the loaded modules (native_window.h), by name: "visits.cut". The function stays for ever.
struct NativeWindowFunction {
  const ts_window_function* function = nullptr;
  std::string name, signature;  // "visits.cut(string, int64) -> (began timestamp, lasted duration)"
};
std::vector<NativeWindowFunction> native_window_functions();  // sorted

}  // namespace twinspan::engine
