#include "support/split_model.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <set>

#include "tensorflow/lite/schema/schema_generated.h"

namespace ems::testing {
namespace {

// Returns the operators from `from` to `to` as a model. Its tensors keep their indices, so that nothing is rewritten.
std::string Cut(const std::string& file, size_t from, size_t to) {
  const std::unique_ptr<tflite::ModelT> model(tflite::GetModel(file.data())->UnPack());
  tflite::SubGraphT& graph = *model->subgraphs[0];
  std::set<int> made;    // by this segment
  std::set<int> before;  // made by earlier ones, or inputs of the model
  std::set<int> after;   // taken by later ones, or outputs of the model
  std::set<int> taken;
  before.insert(graph.inputs.begin(), graph.inputs.end());
  after.insert(graph.outputs.begin(), graph.outputs.end());
  for (size_t i = 0; i < graph.operators.size(); ++i) {
    const tflite::OperatorT& op = *graph.operators[i];
    if (i < from) before.insert(op.outputs.begin(), op.outputs.end());
    if (i >= to) after.insert(op.inputs.begin(), op.inputs.end());
    if (i < from || i >= to) continue;
    made.insert(op.outputs.begin(), op.outputs.end());
    taken.insert(op.inputs.begin(), op.inputs.end());
  }
  graph.inputs.clear();
  graph.outputs.clear();
  std::set_intersection(taken.begin(), taken.end(), before.begin(), before.end(), std::back_inserter(graph.inputs));
  std::set_intersection(made.begin(), made.end(), after.begin(), after.end(), std::back_inserter(graph.outputs));
  graph.operators.erase(graph.operators.begin() + static_cast<std::ptrdiff_t>(to), graph.operators.end());
  graph.operators.erase(graph.operators.begin(), graph.operators.begin() + static_cast<std::ptrdiff_t>(from));
  model->signature_defs.clear();
  flatbuffers::FlatBufferBuilder builder;
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, model.get()));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

}  // namespace

std::vector<std::string> SplitModel(const std::string& model, int count) {
  const size_t operators = tflite::GetModel(model.data())->subgraphs()->Get(0)->operators()->size();
  const auto parts = static_cast<size_t>(count);
  if (operators < parts) std::abort();
  std::vector<std::string> segments;
  for (size_t i = 0; i < parts; ++i) {
    segments.push_back(Cut(model, operators * i / parts, operators * (i + 1) / parts));
  }
  return segments;
}

}  // namespace ems::testing
