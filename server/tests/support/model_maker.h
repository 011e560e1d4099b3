// Small TensorFlow Lite models, made in memory: what the tests of models, interpreters and the whole server run.
#ifndef EMS_TESTS_SUPPORT_MODEL_MAKER_H_
#define EMS_TESTS_SUPPORT_MODEL_MAKER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/lite/schema/schema_generated.h"

namespace ems::testing {

// Names that a signature gives to tensors of its subgraph.
using SignatureNames = std::map<std::string, int>;

// Builds a .tflite file step by step. Tensors, operators, inputs and outputs go to the subgraph that was added last;
// the first exists from the start. Nothing is checked: tests need broken models too.
class ModelMaker {
 public:
  ModelMaker();

  // Adds a tensor and returns its index. -1 in `shape` is a dynamic dimension. `data` makes it a constant.
  int Tensor(const std::string& name, tflite::TensorType type, const std::vector<int>& shape,
             const std::string& data = "");
  // Adds a constant of int32 or float values.
  int Constant(const std::string& name, const std::vector<int>& shape, const std::vector<int32_t>& values);
  int Constant(const std::string& name, const std::vector<int>& shape, const std::vector<float>& values);

  void Operator(tflite::BuiltinOperator op, const std::vector<int>& inputs, const std::vector<int>& outputs,
                tflite::BuiltinOptionsUnion options = {}, int version = 1);
  void Custom(const std::string& name, const std::vector<int>& inputs, const std::vector<int>& outputs,
              const std::string& options = "");
  // y = x / 2 + 2 on floats, elementwise.
  void HalfPlusTwo(int x, int y);
  // y = x * factor on floats.
  void Times(int x, float factor, int y);
  // y = x for any type, through RESHAPE; `shape` is y's, with at most one -1.
  void Copy(int x, int y, const std::vector<int>& shape);

  void Inputs(const std::vector<int>& tensors);
  void Outputs(const std::vector<int>& tensors);
  void Subgraph();
  void Signature(const std::string& key, const SignatureNames& inputs, const SignatureNames& outputs);
  void Metadata(const std::string& name, const std::string& bytes);
  // Adds the metadata that TensorFlow Serving reads: for each key, names of inputs and of outputs ("x:0") by their
  // keys, as serialised tensorflow.SignatureDef messages.
  struct ServingSignature {
    std::map<std::string, std::string> inputs;
    std::map<std::string, std::string> outputs;
    std::string method_name;
  };
  void ServingSignatures(const std::map<std::string, ServingSignature>& signatures);

  tflite::ModelT& model() { return model_; }
  // Returns the file.
  std::string File() const;

 private:
  tflite::SubGraphT& subgraph() { return *model_.subgraphs.back(); }
  int Buffer(const std::string& data);
  int Code(tflite::BuiltinOperator op, const std::string& custom, int version);
  tflite::ModelT model_;
};

// Complete models. Each has a signature serving_default, but for the last ones.
std::string HalfPlusTwoModel();    // x float [-1] -> y = x / 2 + 2, as TensorFlow Serving's example of that name
std::string FixedBatchModel();     // x float [1,4] -> y = x / 2 + 2
std::string GiantModel();          // x float [65536,65536,16], which is 256 GiB -> y = x / 2 + 2
std::string BroadModel();          // x float [-1] -> y [-1,1024], x in each column: much memory for few values
std::string TwoStepModel();        // x float [1,4] -> y = (x + 1) * 3 by two operators; "in" to "result" for clients
std::string TwoInputsModel();      // a, b float [-1,2] -> sum, product
std::string TwoSignaturesModel();  // serving_default: y = 2 x; triple: y = 3 x; x float [-1]
std::string StringEchoModel();     // text string [-1] -> echo_bytes
std::string Int8Model();           // x int8 [-1,4] -> y = x
std::string ManyTypesModel();      // float, double, half, int8 .. uint64, bool, each [-1,2] -> <name>_out
std::string ScalarModel();         // x float [-1] -> y float [], the sum
std::string ImageModel();          // image uint8 [1,4,4,3] -> pixels uint8 [1,48]
std::string FailingModel(int rows = 1);  // index int32 [rows] -> y = {1,2,3}[index]; other indices make the kernel fail
// y float [4]: 7 at `index` int32 [1], else 0. TensorFlow Lite 2.14 does not check the index of SPARSE_TO_DENSE: a far
// one ends the process.
std::string CrashingModel();
std::string DetectionModel();          // image uint8 [1,4,4,3] -> the four outputs of TFLite_Detection_PostProcess
std::string NoSignatureModel();        // tensors "x:0" and "y", no signature: y = x / 2 + 2
std::string ServingSignaturesModel();  // the same with the metadata of TensorFlow Serving
std::string UnknownVersionModel();     // an ADD of version 99
std::string CustomOperatorModel(const std::string& name, const std::string& options);  // x float [1] -> y

// Writes `file` to `path`; makes the folders. Aborts where that fails.
void WriteFile(const std::string& path, const std::string& file);
std::string ReadFile(const std::string& path);

// Returns a new folder, deleted when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  // Writes a file of this name and returns its path.
  std::string Write(const std::string& name, const std::string& file) const;

 private:
  std::string path_;
};

}  // namespace ems::testing

#endif  // EMS_TESTS_SUPPORT_MODEL_MAKER_H_
