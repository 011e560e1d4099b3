#include "support/model_maker.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "flatbuffers/flexbuffers.h"

namespace ems::testing {
namespace {

using tflite::TensorType;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A field of a protocol buffer, of length-delimited wire type; lengths below 128.
std::string Field(int number, const std::string& value) {
  if (value.size() > 127) std::abort();
  return std::string{static_cast<char>((number << 3) | 2), static_cast<char>(value.size())} + value;
}

// Serialises tensorflow.SignatureDef: map<string, TensorInfo> inputs = 1, outputs = 2, method_name = 3; TensorInfo has
// name = 1.
std::string Serialise(const ModelMaker::ServingSignature& signature) {
  std::string text;
  for (const auto& [key, name] : signature.inputs) text += Field(1, Field(1, key) + Field(2, Field(1, name)));
  for (const auto& [key, name] : signature.outputs) text += Field(2, Field(1, key) + Field(2, Field(1, name)));
  return text + Field(3, signature.method_name);
}

}  // namespace

ModelMaker::ModelMaker() {
  model_.version = 3;
  model_.buffers.push_back(std::make_unique<tflite::BufferT>());  // buffer 0 means none
  Subgraph();
}

int ModelMaker::Buffer(const std::string& data) {
  if (data.empty()) return 0;
  auto buffer = std::make_unique<tflite::BufferT>();
  buffer->data.assign(data.begin(), data.end());
  model_.buffers.push_back(std::move(buffer));
  return static_cast<int>(model_.buffers.size()) - 1;
}

int ModelMaker::Tensor(const std::string& name, TensorType type, const std::vector<int>& shape,
                       const std::string& data) {
  auto tensor = std::make_unique<tflite::TensorT>();
  tensor->name = name;
  tensor->type = type;
  tensor->shape = shape;
  for (int& size : tensor->shape) {
    if (size >= 0) continue;
    size = 1;
    tensor->shape_signature = shape;
  }
  tensor->buffer = Buffer(data);
  subgraph().tensors.push_back(std::move(tensor));
  return static_cast<int>(subgraph().tensors.size()) - 1;
}

int ModelMaker::Constant(const std::string& name, const std::vector<int>& shape, const std::vector<int32_t>& values) {
  return Tensor(name, tflite::TensorType_INT32, shape, Bytes(values));
}

int ModelMaker::Constant(const std::string& name, const std::vector<int>& shape, const std::vector<float>& values) {
  return Tensor(name, tflite::TensorType_FLOAT32, shape, Bytes(values));
}

int ModelMaker::Code(tflite::BuiltinOperator op, const std::string& custom, int version) {
  auto code = std::make_unique<tflite::OperatorCodeT>();
  code->builtin_code = op;
  // The old field holds the numbers below 127.
  code->deprecated_builtin_code = static_cast<int8_t>(op < 127 ? op : 127);
  code->custom_code = custom;
  code->version = version;
  model_.operator_codes.push_back(std::move(code));
  return static_cast<int>(model_.operator_codes.size()) - 1;
}

void ModelMaker::Operator(tflite::BuiltinOperator op, const std::vector<int>& inputs, const std::vector<int>& outputs,
                          tflite::BuiltinOptionsUnion options, int version) {
  auto node = std::make_unique<tflite::OperatorT>();
  node->opcode_index = Code(op, "", version);
  node->inputs = inputs;
  node->outputs = outputs;
  node->builtin_options = std::move(options);
  subgraph().operators.push_back(std::move(node));
}

void ModelMaker::Custom(const std::string& name, const std::vector<int>& inputs, const std::vector<int>& outputs,
                        const std::string& options) {
  auto node = std::make_unique<tflite::OperatorT>();
  node->opcode_index = Code(tflite::BuiltinOperator_CUSTOM, name, 1);
  node->inputs = inputs;
  node->outputs = outputs;
  node->custom_options.assign(options.begin(), options.end());
  subgraph().operators.push_back(std::move(node));
}

void ModelMaker::Times(int x, float factor, int y) {
  const int constant = Constant("factor", {1}, std::vector<float>{factor});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::MulOptionsT());
  Operator(tflite::BuiltinOperator_MUL, {x, constant}, {y}, std::move(options));
}

void ModelMaker::HalfPlusTwo(int x, int y) {
  const tflite::TensorT& result = *subgraph().tensors[y];
  const int half = Tensor("half", result.type, result.shape_signature.empty() ? result.shape : result.shape_signature);
  Times(x, 0.5F, half);
  const int two = Constant("two", {1}, std::vector<float>{2});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::AddOptionsT());
  Operator(tflite::BuiltinOperator_ADD, {half, two}, {y}, std::move(options));
}

void ModelMaker::Copy(int x, int y, const std::vector<int>& shape) {
  const int to = Constant("shape", {static_cast<int>(shape.size())}, shape);
  tflite::BuiltinOptionsUnion options;
  tflite::ReshapeOptionsT reshape;
  reshape.new_shape = shape;
  options.Set(std::move(reshape));
  Operator(tflite::BuiltinOperator_RESHAPE, {x, to}, {y}, std::move(options));
}

void ModelMaker::Inputs(const std::vector<int>& tensors) { subgraph().inputs = tensors; }
void ModelMaker::Outputs(const std::vector<int>& tensors) { subgraph().outputs = tensors; }
void ModelMaker::Subgraph() { model_.subgraphs.push_back(std::make_unique<tflite::SubGraphT>()); }

void ModelMaker::Signature(const std::string& key, const SignatureNames& inputs, const SignatureNames& outputs) {
  const auto names = [](const SignatureNames& tensors) {
    std::vector<std::unique_ptr<tflite::TensorMapT>> maps;
    for (const auto& [name, index] : tensors) {
      maps.push_back(std::make_unique<tflite::TensorMapT>());
      maps.back()->name = name;
      maps.back()->tensor_index = index;
    }
    return maps;
  };
  auto signature = std::make_unique<tflite::SignatureDefT>();
  signature->signature_key = key;
  signature->subgraph_index = model_.subgraphs.size() - 1;
  signature->inputs = names(inputs);
  signature->outputs = names(outputs);
  model_.signature_defs.push_back(std::move(signature));
}

void ModelMaker::Metadata(const std::string& name, const std::string& bytes) {
  auto metadata = std::make_unique<tflite::MetadataT>();
  metadata->name = name;
  metadata->buffer = Buffer(bytes);
  model_.metadata.push_back(std::move(metadata));
}

void ModelMaker::ServingSignatures(const std::map<std::string, ServingSignature>& signatures) {
  flexbuffers::Builder builder;
  const size_t start = builder.StartMap();
  for (const auto& [key, signature] : signatures) builder.String(key.c_str(), Serialise(signature));
  builder.EndMap(start);
  builder.Finish();
  const std::vector<uint8_t>& bytes = builder.GetBuffer();
  Metadata("signature_defs_metadata", {bytes.begin(), bytes.end()});
}

std::string ModelMaker::File() const {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(tflite::Model::Pack(builder, &model_), tflite::ModelIdentifier());
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

std::string HalfPlusTwoModel() {
  ModelMaker maker;
  const int x = maker.Tensor("serving_default_x:0", tflite::TensorType_FLOAT32, {-1});
  const int y = maker.Tensor("StatefulPartitionedCall:0", tflite::TensorType_FLOAT32, {-1});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

namespace {

// y = x / 2 + 2 on a fixed shape.
std::string FixedModel(const std::vector<int>& shape) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, shape);
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, shape);
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

}  // namespace

std::string FixedBatchModel() { return FixedModel({1, 4}); }
std::string GiantModel() { return FixedModel({65536, 65536, 16}); }

std::string TwoStepModel() {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1, 4});
  const int middle = maker.Tensor("middle", tflite::TensorType_FLOAT32, {1, 4});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1, 4});
  const int one = maker.Constant("one", {}, std::vector<float>{1});
  tflite::BuiltinOptionsUnion add;
  add.Set(tflite::AddOptionsT());
  maker.Operator(tflite::BuiltinOperator_ADD, {x, one}, {middle}, std::move(add));
  maker.Times(middle, 3, y);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"in", x}}, {{"result", y}});
  return maker.File();
}

std::string BroadModel() {
  constexpr int kColumns = 1024;
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {-1});
  const int column = maker.Tensor("column", tflite::TensorType_FLOAT32, {-1, 1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {-1, kColumns});
  const int ones = maker.Constant("ones", {1, kColumns}, std::vector<float>(kColumns, 1));
  maker.Copy(x, column, {-1, 1});
  tflite::BuiltinOptionsUnion mul;
  mul.Set(tflite::MulOptionsT());
  maker.Operator(tflite::BuiltinOperator_MUL, {column, ones}, {y}, std::move(mul));
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

std::string TwoInputsModel() {
  ModelMaker maker;
  const int a = maker.Tensor("a", tflite::TensorType_FLOAT32, {-1, 2});
  const int b = maker.Tensor("b", tflite::TensorType_FLOAT32, {-1, 2});
  const int sum = maker.Tensor("sum", tflite::TensorType_FLOAT32, {-1, 2});
  const int product = maker.Tensor("product", tflite::TensorType_FLOAT32, {-1, 2});
  tflite::BuiltinOptionsUnion add;
  add.Set(tflite::AddOptionsT());
  maker.Operator(tflite::BuiltinOperator_ADD, {a, b}, {sum}, std::move(add));
  tflite::BuiltinOptionsUnion mul;
  mul.Set(tflite::MulOptionsT());
  maker.Operator(tflite::BuiltinOperator_MUL, {a, b}, {product}, std::move(mul));
  maker.Inputs({a, b});
  maker.Outputs({sum, product});
  maker.Signature("serving_default", {{"a", a}, {"b", b}}, {{"sum", sum}, {"product", product}});
  return maker.File();
}

std::string TwoSignaturesModel() {
  ModelMaker maker;
  const auto graph = [&](const std::string& key, float factor) {
    const int x = maker.Tensor(key + "_x", tflite::TensorType_FLOAT32, {-1});
    const int y = maker.Tensor(key + "_y", tflite::TensorType_FLOAT32, {-1});
    maker.Times(x, factor, y);
    maker.Inputs({x});
    maker.Outputs({y});
    maker.Signature(key, {{"x", x}}, {{"y", y}});
  };
  graph("serving_default", 2);
  maker.Subgraph();
  graph("triple", 3);
  return maker.File();
}

std::string StringEchoModel() {
  ModelMaker maker;
  const int text = maker.Tensor("text", tflite::TensorType_STRING, {-1});
  const int echo = maker.Tensor("echo", tflite::TensorType_STRING, {-1});
  maker.Copy(text, echo, {-1});
  maker.Inputs({text});
  maker.Outputs({echo});
  maker.Signature("serving_default", {{"text", text}}, {{"echo_bytes", echo}});
  return maker.File();
}

std::string Int8Model() {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_INT8, {-1, 4});
  const int y = maker.Tensor("y", tflite::TensorType_INT8, {-1, 4});
  maker.Copy(x, y, {-1, 4});
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

std::string ManyTypesModel() {
  const std::vector<std::pair<std::string, TensorType>> types = {
      {"float", tflite::TensorType_FLOAT32}, {"double", tflite::TensorType_FLOAT64},
      {"half", tflite::TensorType_FLOAT16},  {"int8", tflite::TensorType_INT8},
      {"int16", tflite::TensorType_INT16},   {"int32", tflite::TensorType_INT32},
      {"int64", tflite::TensorType_INT64},   {"uint8", tflite::TensorType_UINT8},
      {"uint16", tflite::TensorType_UINT16}, {"uint32", tflite::TensorType_UINT32},
      {"uint64", tflite::TensorType_UINT64}, {"bool", tflite::TensorType_BOOL}};
  ModelMaker maker;
  SignatureNames inputs;
  SignatureNames outputs;
  for (const auto& [name, type] : types) {
    const int x = maker.Tensor(name, type, {-1, 2});
    const int y = maker.Tensor(name + "_out", type, {-1, 2});
    maker.Copy(x, y, {-1, 2});
    inputs[name] = x;
    outputs[name + "_out"] = y;
    maker.model().subgraphs.back()->inputs.push_back(x);
    maker.model().subgraphs.back()->outputs.push_back(y);
  }
  maker.Signature("serving_default", inputs, outputs);
  return maker.File();
}

std::string ScalarModel() {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {-1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {});
  const int axis = maker.Constant("axis", {1}, std::vector<int32_t>{0});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::ReducerOptionsT());
  maker.Operator(tflite::BuiltinOperator_SUM, {x, axis}, {y}, std::move(options));
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"x", x}}, {{"y", y}});
  return maker.File();
}

std::string ImageModel() {
  ModelMaker maker;
  const int image = maker.Tensor("image", tflite::TensorType_UINT8, {1, 4, 4, 3});
  const int pixels = maker.Tensor("pixels", tflite::TensorType_UINT8, {1, 48});
  maker.Copy(image, pixels, {1, 48});
  maker.Inputs({image});
  maker.Outputs({pixels});
  maker.Signature("serving_default", {{"image", image}}, {{"pixels", pixels}});
  return maker.File();
}

std::string FailingModel(int rows) {
  ModelMaker maker;
  const int index = maker.Tensor("index", tflite::TensorType_INT32, {rows});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {rows});
  const int values = maker.Constant("values", {3}, std::vector<float>{1, 2, 3});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::GatherOptionsT());
  maker.Operator(tflite::BuiltinOperator_GATHER, {values, index}, {y}, std::move(options));
  maker.Inputs({index});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"index", index}}, {{"y", y}});
  return maker.File();
}

std::string CrashingModel() {
  ModelMaker maker;
  const int index = maker.Tensor("index", tflite::TensorType_INT32, {1});
  const int size = maker.Constant("size", {1}, std::vector<int32_t>{4});
  const int value = maker.Constant("value", {1}, std::vector<float>{7});
  const int rest = maker.Constant("rest", {}, std::vector<float>{0});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {4});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::SparseToDenseOptionsT());
  maker.Operator(tflite::BuiltinOperator_SPARSE_TO_DENSE, {index, size, value, rest}, {y}, std::move(options));
  maker.Inputs({index});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"index", index}}, {{"y", y}});
  return maker.File();
}

std::string DetectionModel() {
  ModelMaker maker;
  const int image = maker.Tensor("normalized_input_image_tensor", tflite::TensorType_UINT8, {1, 4, 4, 3});
  // Two boxes of three are found; the third is padding, as the real operator leaves it.
  const std::vector<float> boxes = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.5F, 1.0F, 1.0F, 0, 0, 0, 0};
  const std::vector<int> outputs = {maker.Tensor("TFLite_Detection_PostProcess", tflite::TensorType_FLOAT32, {1, 3, 4}),
                                    maker.Tensor("TFLite_Detection_PostProcess:1", tflite::TensorType_FLOAT32, {1, 3}),
                                    maker.Tensor("TFLite_Detection_PostProcess:2", tflite::TensorType_FLOAT32, {1, 3}),
                                    maker.Tensor("TFLite_Detection_PostProcess:3", tflite::TensorType_FLOAT32, {1})};
  maker.Copy(maker.Constant("boxes", {12}, boxes), outputs[0], {1, 3, 4});
  maker.Copy(maker.Constant("classes", {3}, std::vector<float>{1, 0, 0}), outputs[1], {1, 3});
  maker.Copy(maker.Constant("scores", {3}, std::vector<float>{0.9F, 0.6F, 0}), outputs[2], {1, 3});
  maker.Copy(maker.Constant("count", {1}, std::vector<float>{2}), outputs[3], {1});
  maker.Inputs({image});
  maker.Outputs(outputs);
  return maker.File();
}

namespace {

// y = x / 2 + 2 with a tensor named "x:0" and another named "y".
ModelMaker Unnamed() {
  ModelMaker maker;
  const int x = maker.Tensor("x:0", tflite::TensorType_FLOAT32, {-1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {-1});
  maker.HalfPlusTwo(x, y);
  maker.Inputs({x});
  maker.Outputs({y});
  return maker;
}

}  // namespace

std::string NoSignatureModel() { return Unnamed().File(); }

std::string ServingSignaturesModel() {
  ModelMaker maker = Unnamed();
  maker.ServingSignatures({{"serving_default", {{{"in", "x:0"}}, {{"out", "y:0"}}, "tensorflow/serving/predict"}},
                           {"regress", {{{"inputs", "x"}}, {{"outputs", "y"}}, "tensorflow/serving/regress"}}});
  return maker.File();
}

std::string UnknownVersionModel() {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::AddOptionsT());
  maker.Operator(tflite::BuiltinOperator_ADD, {x, x}, {y}, std::move(options), 99);
  maker.Inputs({x});
  maker.Outputs({y});
  return maker.File();
}

std::string CustomOperatorModel(const std::string& name, const std::string& options) {
  ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {1});
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {1});
  maker.Custom(name, {x}, {y}, options);
  maker.Inputs({x});
  maker.Outputs({y});
  return maker.File();
}

void WriteFile(const std::string& path, const std::string& file) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out << file;
  out.close();
  if (out) return;
  std::cerr << "cannot write " << path << ": " << std::strerror(errno) << "\n";
  std::abort();
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "ems-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, const std::string& file) const {
  const std::string path = path_ + "/" + name;
  WriteFile(path, file);
  return path;
}

}  // namespace ems::testing
