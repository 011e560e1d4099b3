// TensorFlow Serving's JSON (3.2 of the facts): requests to tensors by a signature, tensors to replies.
#ifndef EMS_CODEC_JSON_H_
#define EMS_CODEC_JSON_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "model/servable.h"

namespace ems {

// Which of the two forms a request had; the reply has the same.
enum class JsonForm { kRow, kColumn };

// The most levels of nesting of a body.
inline constexpr int kMostNesting = 64;

// The most values, lists, objects and keys of a body. A parsed value takes 16 bytes, and as much again while its list
// is parsed, however short its text.
inline constexpr int kMostValues = 4 << 20;

class PredictBody {
 public:
  // Parses the body. INVALID_ARGUMENT "JSON Parse error: ..." as rapidjson names it or beyond the limits above, where
  // the body is no object or has a duplicate key, and where signature_name is no string. Numbers NaN, Infinity and
  // -Infinity are read.
  static absl::StatusOr<PredictBody> Parse(std::string_view body);
  PredictBody(PredictBody&&) noexcept;
  PredictBody& operator=(PredictBody&&) noexcept;
  ~PredictBody();

  // The member "signature_name"; empty where there is none.
  const std::string& signature_name() const;
  JsonForm form() const;

  // Converts to the dtypes of the signature's inputs. INVALID_ARGUMENT with TensorFlow Serving's texts; a number that
  // the dtype does not hold is an error for every dtype. UNIMPLEMENTED for complex inputs in column form.
  // As in TensorFlow Serving, a body without values is an error only here, after an unknown signature.
  absl::StatusOr<TensorMap> Inputs(const Signature& signature) const;

 private:
  class Impl;
  explicit PredictBody(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Returns {"predictions": ...} or {"outputs": ...}, printed as TensorFlow Serving does.
// INVALID_ARGUMENT for no outputs, a complex output, and in row form where outputs have no common first dimension.
absl::StatusOr<std::string> PredictReply(const TensorMap& outputs, JsonForm form);

// Returns {"error": text}. Bytes that are not UTF-8 are escaped.
std::string ErrorReply(std::string_view text);

}  // namespace ems

#endif  // EMS_CODEC_JSON_H_
