// The interfaces between the catalogue, which says what is served, and the backends, which compute.
#ifndef EMS_MODEL_SERVABLE_H_
#define EMS_MODEL_SERVABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tensor.h"

namespace ems {

// An input or output of a signature.
struct TensorSpec {
  DataType dtype = DataType::kInvalid;
  Shape shape;              // -1 stands for any size
  std::string tensor_name;  // the name in the model, for metadata
  // Whether the input also takes DT_STRING of shape [] or [n]: JPEG or PNG files, which become its first dimension.
  bool image = false;
};

// A way to call a model. The keys are the names that clients use.
struct Signature {
  std::string method_name;  // such as "tensorflow/serving/predict"
  std::map<std::string, TensorSpec> inputs;
  std::map<std::string, TensorSpec> outputs;
};

// The signatures of a model by key; a model has at least one. kDefaultSignature is used where a client names none.
using SignatureMap = std::map<std::string, Signature>;
inline constexpr char kDefaultSignature[] = "serving_default";

inline constexpr char kPredictMethod[] = "tensorflow/serving/predict";
inline constexpr char kClassifyMethod[] = "tensorflow/serving/classify";
inline constexpr char kRegressMethod[] = "tensorflow/serving/regress";

// A version of a model.
struct ServableId {
  std::string name;
  int64_t version = 0;
};

struct RunOptions {
  absl::Time deadline = absl::InfiniteFuture();  // on the scale of SteadyNow (base/clock.h)
};

// What computes a version, for people: the status page and the status text.
struct Placement {
  std::string device;     // "cpu", "usb:0", "pci:1"
  std::string state;      // "ok", "suspect", "out", "absent"
  std::string detail;     // the reason of a state other than ok, or of a fallback to the CPU
  bool fallback = false;  // the CPU in place of a device
  std::string part;       // "segment 0 of 2"; empty: the whole model
};

// A loaded version. Its destructor releases all that it holds; nobody calls Run by then.
class Servable {
 public:
  Servable() = default;
  Servable(const Servable&) = delete;
  Servable& operator=(const Servable&) = delete;
  virtual ~Servable() = default;

  virtual const SignatureMap& signatures() const = 0;

  // Computes a signature, and blocks until it is done or the deadline has passed. Thread-safe.
  //
  // The caller has checked that `signature` exists and that names, dtypes and shapes of the inputs fit it. A request
  // of n rows to a model of fixed batch size 1 is n runs; the outputs are joined on their first dimension.
  // Errors: RESOURCE_EXHAUSTED (queue full), DEADLINE_EXCEEDED, UNAVAILABLE (no device), INVALID_ARGUMENT (the model
  // refuses the values), INTERNAL (a kernel fails, for the values or by itself).
  virtual absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                        const RunOptions& options) = 0;

  // Returns where the version is computed now.
  virtual std::vector<Placement> placements() const = 0;
};

// Makes servables of version folders. Thread-safe.
class Loader {
 public:
  Loader() = default;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  virtual ~Loader() = default;

  // Loads the model in the version folder `folder` and runs it once; blocks. The error's text is for the operator.
  virtual absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, const std::string& folder) = 0;
};

}  // namespace ems

#endif  // EMS_MODEL_SERVABLE_H_
