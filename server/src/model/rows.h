// Requests of n rows to models of fixed batch size: n runs, whose outputs are joined again.
#ifndef EMS_MODEL_ROWS_H_
#define EMS_MODEL_ROWS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/servable.h"

namespace ems {

// Returns the signature's names of the inputs that a request calls by `sent`, in the same order. An input may be called
// by the name of its tensor in the model ("serving_default_x", "x:0"): TensorFlow Serving knows a .tflite model's
// inputs by these names only, so clients of it send them. INVALID_ARGUMENT for another number of inputs than the
// signature's and for an unknown name, with TensorFlow Serving's texts (3.3 of the facts).
absl::StatusOr<std::vector<std::string>> MatchNames(const Signature& signature, std::vector<std::string> sent);

// Gives inputs the signature's names; errors as above.
absl::Status RenameInputs(const Signature& signature, TensorMap& inputs);

// Checks names, dtypes and shapes of a request against a signature, with TensorFlow Serving's texts (3.3 of the facts).
// Returns the number of runs: 1, or n where every input has n times the fixed first dimension of its spec. Scalars
// have no rows: every run gets them whole. Files for an image input are a row each.
absl::StatusOr<int64_t> CheckInputs(const Signature& signature, const TensorMap& inputs);

// Returns the number of runs of inputs that CheckInputs has accepted, none of them files.
int64_t CountRuns(const Signature& signature, const TensorMap& inputs);

// Returns the inputs of run `run` of `runs`.
TensorMap Slice(const TensorMap& inputs, int64_t run, int64_t runs);

// Joins the outputs of runs on their first dimension. INTERNAL where an output has none or the runs differ in it.
absl::StatusOr<TensorMap> Join(std::vector<TensorMap> outputs);

// Rows of a request that are computed before their outputs are joined: as tensors of their own these take hundreds of
// bytes more than their values.
inline constexpr int64_t kWindow = 1024;

// Calls `run` for windows of `runs` runs, at most kWindow each, one after the other, and joins what it returns. The
// first error ends it.
absl::StatusOr<TensorMap> RunInWindows(
    int64_t runs, const std::function<absl::StatusOr<TensorMap>(int64_t first, int64_t count)>& run);

// The error of a row for whose values there is no memory.
absl::Status NoMemoryForARow();

}  // namespace ems

#endif  // EMS_MODEL_ROWS_H_
