// A program without the SDK: a thread of it loads a library with the SDK, traces, and unloads it before it ends.
#include <dlfcn.h>

#include <cstdio>
#include <thread>

namespace {

int LoadAndTrace() {
  void* const library = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::printf("%s\n", dlerror());
    return 1;
  }
  auto* const trace = reinterpret_cast<int (*)()>(dlsym(library, "TraceInPlugin"));
  const int result = trace == nullptr ? 1 : trace();
  dlclose(library);
  return result;
}

}  // namespace

int main() {
  int result = 1;
  std::thread([&result] { result = LoadAndTrace(); }).join();
  return result;
}
