// SPDX-License-Identifier: Apache-2.0
// Ask a library that TVM has compiled, without Python: for processors that no package of
// TVM's runtime is published for. It needs libtvm_ffi.so and libtvm_runtime.so, which have
// to be built from TVM's sources for that processor.
//
//   arm-linux-gnueabihf-g++ -std=c++20 -I <tvm_ffi>/include tvm-fp32-harness.cpp -o harness
//       -L <libraries> -Wl,--no-as-needed -ltvm_runtime -ltvm_ffi
//   harness tvm-fp32.so x.bin:float32:1,3,16,16 ...
//
// A file for each input, in the model's order, holds its elements as they lie in memory; the
// outputs are written likewise, to output-0.bin and so on. Nothing is timed here.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

namespace ffi = tvm::ffi;

namespace {

constexpr int kProcessor = kDLCPU, kPooled = 2;
constexpr size_t kAlignment = 64;  // compiled code loads whole vectors

struct Memory {
  void AllocData(DLTensor* tensor) {
    const size_t bytes = ffi::GetDataSize(*tensor);
    tensor->data = std::aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

DLDataType type_named(const std::string& name) {
  if (name == "float32") return {kDLFloat, 32, 1};
  if (name == "int32") return {kDLInt, 32, 1};
  if (name == "int64") return {kDLInt, 64, 1};
  throw std::runtime_error("not float32, int32 or int64: " + name);
}

std::vector<int64_t> shape_written(const std::string& text) {
  std::vector<int64_t> shape;
  std::istringstream sizes(text);
  for (std::string size; std::getline(sizes, size, ',');) shape.push_back(std::stoll(size));
  return shape;
}

ffi::Tensor tensor_from(const std::string& argument) {
  std::istringstream parts(argument);
  std::string path, type, shape;
  std::getline(parts, path, ':');
  std::getline(parts, type, ':');
  std::getline(parts, shape, ':');
  const std::vector<int64_t> sizes = shape_written(shape);
  const DLDevice device{kDLCPU, 0};
  ffi::Tensor tensor = ffi::Tensor::FromNDAlloc(
      Memory(), ffi::ShapeView(sizes.data(), sizes.size()), type_named(type), device);
  const auto bytes = static_cast<std::streamsize>(ffi::GetDataSize(*tensor.GetDLTensorPtr()));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(static_cast<char*>(tensor.data_ptr()), bytes)) {
    throw std::runtime_error(path + " has not " + std::to_string(bytes) + " bytes");
  }
  return tensor;
}

void write(const ffi::Tensor& tensor, size_t index) {
  const std::string path = "output-" + std::to_string(index) + ".bin";
  std::ofstream file(path, std::ios::binary);
  const auto bytes = static_cast<std::streamsize>(ffi::GetDataSize(*tensor.GetDLTensorPtr()));
  file.write(static_cast<const char*>(tensor.data_ptr()), bytes);
  std::cout << path << ": " << tensor.numel() << " elements\n";
}

void ask(int count, char** arguments) {
  const ffi::Module library = ffi::Module::LoadFromFile(arguments[1]);
  const ffi::Module machine =
      library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  machine->GetFunction("vm_initialization")
      .value()(kProcessor, 0, kPooled, kProcessor, 0, kPooled);
  const bool by_row = library->GetFunction("has_function").value()("row").cast<bool>();
  const ffi::Function model = machine->GetFunction(by_row ? "row" : "main").value();
  std::vector<ffi::Any> inputs;
  for (int index = 2; index < count; ++index) inputs.push_back(tensor_from(arguments[index]));
  std::vector<ffi::AnyView> views(inputs.begin(), inputs.end());
  ffi::Any answer;
  model.CallPacked(views.data(), static_cast<int32_t>(views.size()), &answer);
  if (auto one = answer.as<ffi::Tensor>()) return write(*one, 0);
  const auto all = answer.cast<ffi::Array<ffi::Tensor>>();
  for (size_t index = 0; index < all.size(); ++index) write(all[index], index);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: harness LIBRARY FILE:TYPE:SHAPE...\n";
    return 2;
  }
  try {
    ask(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
