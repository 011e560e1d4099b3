#include "fake_edgetpu/wrap_model.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "tensorflow/lite/schema/schema_generated.h"

namespace fake_edgetpu {

namespace {

// Copies the tensors of a graph's ends to `to`; `moved` gets the new index of each.
std::vector<int32_t> CopyEnds(const tflite::SubGraphT& from, const std::vector<int32_t>& ends, tflite::SubGraphT* to,
                              std::map<int32_t, int32_t>* moved) {
  std::vector<int32_t> indices;
  for (const int32_t end : ends) {
    if (moved->count(end) == 0) {
      (*moved)[end] = static_cast<int32_t>(to->tensors.size());
      to->tensors.push_back(std::make_unique<tflite::TensorT>(*from.tensors[end]));
      to->tensors.back()->buffer = 0;
    }
    indices.push_back(moved->at(end));
  }
  return indices;
}

}  // namespace

std::string WrapModel(const std::string& model) {
  const std::unique_ptr<tflite::ModelT> inner(tflite::GetModel(model.data())->UnPack());
  const tflite::SubGraphT& graph = *inner->subgraphs[0];
  tflite::ModelT outer;
  outer.version = inner->version;
  outer.description = "for the fake Edge TPU";
  outer.buffers.push_back(std::make_unique<tflite::BufferT>());  // the empty one
  auto code = std::make_unique<tflite::OperatorCodeT>();
  code->builtin_code = tflite::BuiltinOperator_CUSTOM;
  code->deprecated_builtin_code = static_cast<int8_t>(tflite::BuiltinOperator_CUSTOM);
  code->custom_code = "edgetpu-custom-op";
  outer.operator_codes.push_back(std::move(code));
  auto subgraph = std::make_unique<tflite::SubGraphT>();
  std::map<int32_t, int32_t> moved;
  subgraph->inputs = CopyEnds(graph, graph.inputs, subgraph.get(), &moved);
  subgraph->outputs = CopyEnds(graph, graph.outputs, subgraph.get(), &moved);
  auto op = std::make_unique<tflite::OperatorT>();
  op->inputs = subgraph->inputs;
  op->outputs = subgraph->outputs;
  op->custom_options.assign(model.begin(), model.end());
  subgraph->operators.push_back(std::move(op));
  outer.subgraphs.push_back(std::move(subgraph));
  for (auto& signature : inner->signature_defs) {
    for (auto* const ends : {&signature->inputs, &signature->outputs}) {
      for (auto& end : *ends)
        end->tensor_index = static_cast<uint32_t>(moved.at(static_cast<int32_t>(end->tensor_index)));
    }
    outer.signature_defs.push_back(std::move(signature));
  }
  flatbuffers::FlatBufferBuilder builder;
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, &outer));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace fake_edgetpu
