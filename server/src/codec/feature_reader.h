// The features of one input, collected example after example; used by codec/examples.h.
#ifndef EMS_CODEC_FEATURE_READER_H_
#define EMS_CODEC_FEATURE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "model/servable.h"
#include "tensorflow/core/example/feature.pb.h"

namespace ems {

class FeatureReader {
 public:
  // FAILED_PRECONDITION where the spec does not give the size of an example.
  static absl::StatusOr<FeatureReader> Create(std::string name, const TensorSpec& spec);

  // Appends the values of example `index`. INVALID_ARGUMENT for no feature (null), another kind, another size, or a
  // number that the dtype does not hold.
  absl::Status Add(const tensorflow::Feature* feature, int index);

  // Returns the memory of the values so far, in bytes.
  int64_t bytes() const { return bytes_; }

  // Returns the tensor of shape [examples, ...].
  Tensor Take(int64_t examples) &&;

 private:
  FeatureReader(std::string name, const TensorSpec& spec);

  absl::Status Error(int index, std::string_view reason) const;
  absl::Status AddFloats(const tensorflow::FloatList& list, int index);
  absl::Status AddInts(const tensorflow::Int64List& list, int index);
  absl::Status AddBytes(const tensorflow::BytesList& list, int index);
  absl::Status CheckSize(int64_t size, int index);

  std::string name_;
  Shape shape_;                    // of the input; the first size is not used
  std::optional<size_t> unknown_;  // the dimension of unknown size, until the first example fixes it
  int64_t size_ = 1;               // the values of an example, without the unknown dimension
  int64_t bytes_ = 0;
  Tensor tensor_;
};

}  // namespace ems

#endif  // EMS_CODEC_FEATURE_READER_H_
